package smtptest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// Mail is one that the server has accepted.
type Mail struct {
	// From and To are the envelope, Data the mail as it came, with CRLF.
	From string
	To   []string
	Data []byte
	// Hello is the name that the client gave, Mechanism how it authenticated
	// ("" if it did not), TLS whether the dialogue was encrypted.
	Hello     string
	Mechanism string
	TLS       bool
	// UTF8 says whether the client asked for SMTPUTF8.
	UTF8     bool
	Received time.Time
	// Header is the mail's, still encoded; see Decoded. Text and HTML are the
	// first part of their kind, decoded, with LF.
	Header     mail.Header
	Text, HTML string
	// Err says why Data is no mail that one can read.
	Err error
}

// Decoded is the first field of that name in plain UTF-8.
func (m Mail) Decoded(field string) string {
	raw := m.Header.Get(field)
	text, err := new(mime.WordDecoder).DecodeHeader(raw)
	if err != nil {
		return raw
	}
	return text
}

// Subject is that of the mail in plain UTF-8.
func (m Mail) Subject() string { return m.Decoded("Subject") }

// parse reads Data.
func (m *Mail) parse() {
	msg, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		m.Err = fmt.Errorf("read header: %w", err)
		return
	}
	m.Header = msg.Header
	m.Err = m.readPart(msg.Header.Get, msg.Body)
}

// parts reads those of one kind.
func (m *Mail) parts(kind string, parts *multipart.Reader) error {
	for {
		// Raw: NextPart decodes one encoding and not the other.
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		if err := m.readPart(p.Header.Get, p); err != nil {
			return err
		}
	}
}

// readPart reads one part and those in it.
func (m *Mail) readPart(field func(string) string, body io.Reader) error {
	contentType := field("Content-Type")
	if contentType == "" {
		contentType = "text/plain"
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("read content type: %w", err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		return m.parts(kind, multipart.NewReader(body, params["boundary"]))
	}

	switch strings.ToLower(field("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read %s: %w", kind, err)
	}

	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	}
	return nil
}
