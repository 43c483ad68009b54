package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/wording"
	"supernats/schema/secretfile"
)

const (
	// maxToken is how much a token_command may write, in bytes; a token is a few KiB.
	maxToken = 64 << 10
	// killDelay is how long what a token_command has started may hold its output open after
	// its end.
	killDelay = time.Second
)

// credentials are those of one delivery.
type credentials struct {
	secret string
	// token says that the secret is an access token.
	token bool
}

// credentials reads the files, and runs token_command.
func (c Config) credentials(ctx context.Context) (credentials, error) {
	switch {
	case c.TokenFile != "":
		token, err := secretfile.Secret("").Reveal("token", c.TokenFile)
		if err == nil {
			err = checkToken("token_file: "+c.TokenFile, token)
		}
		return credentials{token, true}, err
	case len(c.TokenCommand) > 0:
		token, err := runTokenCommand(ctx, c.TokenCommand)
		return credentials{token, true}, err
	}
	password, err := c.Password.Reveal("password", c.PasswordFile)
	isToken := slices.Contains(tokens, gomail.SMTPAuthType(strings.ToUpper(c.Auth)))
	return credentials{password, isToken}, err
}

// runTokenCommand returns what a program prints. No shell runs it, and it has until ctx ends.
func runTokenCommand(ctx context.Context, argv []string) (string, error) {
	var out, problem bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Stdout = &limitedBuffer{&out}
	c.Stderr = &limitedBuffer{&problem}
	c.WaitDelay = killDelay
	// It gets none of our secrets, and what it starts ends with it.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SUPERNATS_") })
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }

	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.New("did not end in time")
		}
		// What it says on standard output may be a token.
		if said := strings.TrimSpace(problem.String()); said != "" {
			return "", fmt.Errorf("token_command: %s: %w: %s", argv[0], err, wording.Clip(said, maxAnswer))
		}
		return "", fmt.Errorf("token_command: %s: %w", argv[0], err)
	}

	if out.Len() >= maxToken {
		return "", fmt.Errorf("token_command: %s writes more than %d bytes", argv[0], maxToken)
	}
	token, err := secretfile.Clean(out.String())
	if err != nil {
		return "", fmt.Errorf("token_command: what %s writes %w", argv[0], err)
	}
	return token, checkToken("token_command: what "+argv[0]+" writes", token)
}

// checkToken refuses a text that is not an access token alone; what begins the error.
func checkToken(what, token string) error {
	switch {
	case strings.HasPrefix(token, "{"):
		return fmt.Errorf("%s is JSON; want the access token alone (jq -r .access_token)", what)
	case strings.ContainsAny(token, " \t"):
		return fmt.Errorf("%s holds white space; want the access token alone", what)
	}
	return nil
}

// limitedBuffer keeps the first maxToken bytes, and takes the rest as if it did.
type limitedBuffer struct{ *bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(maxToken-b.Len(), 0))])
	return len(p), nil
}
