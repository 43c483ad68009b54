package mail

import (
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Mechanisms of AUTH in the order of preference: those first that do not show the
// password. NTLM is left out: it wants a domain, and servers that offer it offer LOGIN
// too. Those of tokens are for what token_file and token_command give, and for a password
// where the server offers nothing else: then it must be a token.
var (
	hashed = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5,
	}
	passwords = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256,
		gomail.SMTPAuthSCRAMSHA1PLUS, gomail.SMTPAuthSCRAMSHA1,
		gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin,
	}
	tokens = []gomail.SMTPAuthType{gomail.SMTPAuthXOAUTH2, oauthBearer}
)

// oauthBearer is RFC 7628, which go-mail does not have.
const oauthBearer gomail.SMTPAuthType = "OAUTHBEARER"

// allMechanisms are those that the key auth may name.
func allMechanisms() []string {
	var names []string
	for _, m := range slices.Concat(passwords, tokens) {
		names = append(names, strings.ToLower(string(m)))
	}
	return names
}

// anyOffered reports whether one of the mechanisms is among the names that a server
// announces.
func anyOffered(mechanisms []gomail.SMTPAuthType, offered string) bool {
	return slices.ContainsFunc(strings.Fields(offered), func(name string) bool {
		return slices.Contains(mechanisms, gomail.SMTPAuthType(name))
	})
}

// announced are the mechanisms that the server announces, in capitals, each once. Old
// servers write "AUTH=LOGIN PLAIN", for old programs.
func announced(session *smtp.Client) []string {
	var names []string
	add := func(text string) {
		for _, name := range strings.Fields(strings.ToUpper(text)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}

	if ok, list := session.Extension("AUTH"); ok {
		add(strings.ReplaceAll(list, "=", " "))
	}
	for _, m := range append(allMechanisms(), "NTLM", "GSSAPI", "DIGEST-MD5") {
		if ok, rest := session.Extension("AUTH=" + m); ok {
			add(m + " " + rest)
		}
	}
	return names
}
