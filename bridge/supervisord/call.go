package supervisord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/kolo/xmlrpc"
)

// call returns the value of one method: nil for an empty string, int64, string,
// bool, float64, []any or map[string]any. added is how many bytes longer its
// strings have become because they held what XML cannot. A fault is a *Fault.
func (c *Client) call(ctx context.Context, method string, args ...any) (value any, added int, err error) {
	fail := func(err error) (any, int, error) {
		return nil, 0, fmt.Errorf("call %s at %s: %w", method, c.name, err)
	}
	body, err := c.post(ctx, method, args)
	if err != nil {
		return nil, 0, err
	}

	// Checked before it is decoded: that costs many times its size.
	body, added = clean(body)
	if !looksLikeXMLRPC(body) {
		return fail(fmt.Errorf("%w: it begins with %.40q", ErrNotXMLRPC, body))
	}
	if err := bound(body); err != nil {
		return fail(err)
	}

	resp := xmlrpc.Response(body)
	if err := resp.Err(); err != nil {
		var fault xmlrpc.FaultError
		if errors.As(err, &fault) {
			return fail(&Fault{fault.Code, fault.String})
		}
		return fail(fmt.Errorf("%w: %w", ErrNotXMLRPC, err))
	}
	if err := resp.Unmarshal(&value); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrNotXMLRPC, err))
	}
	return value, added, nil
}

// looksLikeXMLRPC distinguishes an answer from the web page that supervisord shows at
// every other path, and from those of proxies.
func looksLikeXMLRPC(body []byte) bool {
	return bytes.Contains(body[:min(len(body), 200)], []byte("<methodResponse"))
}

// post sends one call and returns the answer's body.
func (c *Client) post(ctx context.Context, method string, args []any) ([]byte, error) {
	request, err := xmlrpc.EncodeMethodCall(method, args...)
	if err != nil {
		return nil, fmt.Errorf("encode call of %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(request))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "text/xml")
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}

	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("call %s at %s: %w; set them in the server URL, or SUPERVISOR_USERNAME and "+
			"SUPERVISOR_PASSWORD in environment= of the listener's section", method, c.name, ErrUnauthorized)
	default:
		return nil, fmt.Errorf("call %s at %s: %w", method, c.name, &StatusError{resp.StatusCode})
	}

	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxResponse+1))
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	if int64(len(body)) > c.maxResponse {
		return nil, fmt.Errorf("call %s at %s: %w: more than %d bytes", method, c.name, ErrTooLarge, c.maxResponse)
	}
	return body, nil
}

// unreachable adds what an operator can do.
func (c *Client) unreachable(method string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "; is there a [unix_http_server] section, and is its file= this path?"
	case errors.Is(err, fs.ErrPermission):
		hint = "; chmod= or chown= of [unix_http_server] must let this user in"
	}
	return fmt.Errorf("call %s at %s: %w%s", method, c.name, err, hint)
}

// A nil any is what the codec makes of an empty string.

func text(v any) string {
	s, _ := v.(string)
	return s
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}
