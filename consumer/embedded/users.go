package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"supernats/schema/natsconn"
)

// inProcessUser is the daemon itself on a server with users: a key that each start creates
// and that never leaves the process, so that nobody has to configure it.
type inProcessUser struct {
	key    nkeys.KeyPair
	public string
}

func newInProcessUser() (*inProcessUser, error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make a key for the embedded NATS server: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make a key for the embedded NATS server: %w", err)
	}
	return &inProcessUser{key: key, public: public}, nil
}

// loginOption logs in with the key.
func (u *inProcessUser) loginOption() nats.Option {
	return nats.Nkey(u.public, u.key.Sign)
}

// isListed reports whether a server knows the key.
func (u *inProcessUser) isListed(o *server.Options) bool {
	return slices.ContainsFunc(o.Nkeys, func(n *server.NkeyUser) bool { return n.Nkey == u.public })
}

// hasUsers reports whether a server asks clients to log in.
func hasUsers(o *server.Options) bool {
	return len(o.Users) > 0 || len(o.Nkeys) > 0 || o.Username != "" || o.Authorization != "" ||
		len(o.TrustedOperators) > 0 || len(o.TrustedKeys) > 0 || o.AuthCallout != nil ||
		o.TLSConfig != nil && o.TLSVerify
}

// joinUsers adds the daemon to the users of a file, in the account that has its streams. A user
// that the section nats names must be in the file already.
func (u *inProcessUser) joinUsers(o *server.Options, account string, named natsconn.Settings) error {
	acc, err := findAccount(o, account)
	if err != nil {
		return err
	}
	isOperated := len(o.TrustedOperators) > 0 || len(o.TrustedKeys) > 0
	switch {
	case named.LogsIn(), !hasUsers(o):
		return nil
	case isOperated:
		return errors.New("it trusts an operator, so the daemon needs a JWT: set nats.creds_file")
	case o.TLSMap:
		return errors.New("verify_and_map: the daemon has no certificate on its connection inside of the process: " +
			"list the users with passwords or nkeys")
	case isBcrypt(o.Authorization):
		return errors.New("its token is a hash, so the daemon needs the token itself: set nats.token_file")
	case o.Authorization != "":
		return nil // the daemon has read the token
	case o.Username != "":
		// The server ignores a single user beside a list of keys.
		o.Users = append(o.Users, &server.User{Username: o.Username, Password: o.Password})
		o.Username = ""
		o.Password = ""
	case len(o.Users) == 0 && len(o.Nkeys) == 0 && o.AuthCallout == nil:
		return nil // it asks for certificates only, and not on this connection
	}

	o.Nkeys = append(o.Nkeys, &server.NkeyUser{
		Nkey: u.public, Account: acc, AllowedConnectionTypes: map[string]struct{}{jwt.ConnectionTypeInProcess: {}},
	})
	if c := o.AuthCallout; c != nil {
		c.AuthUsers = append(c.AuthUsers, u.public)
	}
	return nil
}

func isBcrypt(secret string) bool { return strings.HasPrefix(secret, "$2") }

// findAccount returns the account of the streams, nil for the only one of a server without
// accounts.
func findAccount(o *server.Options, name string) (*server.Account, error) {
	var names []string
	var found *server.Account
	for _, a := range o.Accounts {
		if a.GetName() == cmp.Or(o.SystemAccount, server.DEFAULT_SYSTEM_ACCOUNT) {
			continue
		}
		names = append(names, a.GetName())
		if a.GetName() == name || name == "" {
			found = a
		}
	}
	slices.Sort(names)

	switch {
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("it has the accounts %s: say with embedded.account which one the streams are in",
			strings.Join(names, ", "))
	case name != "" && found == nil:
		return nil, fmt.Errorf("it has no account %s (embedded.account), but: %s", name, strings.Join(names, ", "))
	}
	return found, nil
}
