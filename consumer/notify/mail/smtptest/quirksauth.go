package smtptest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// auth has an exchange, and reports whether the dialogue continues.
func (d *quirkyDialogue) auth(command string) bool {
	name, first, given := strings.Cut(command, " ")
	name = strings.ToUpper(name)
	if slices.Contains(d.quirks.HangUp, name) {
		return false
	}

	if slices.Contains(d.quirks.Works, name) && d.knows(name, decode(first), given) {
		d.say(235, "welcome")
		return true
	}
	refused := d.quirks.Refused
	if refused.Code == 0 {
		refused = Answer{535, "5.7.8 authentication failed"}
	}
	d.say(refused.Code, refused.Text)
	return !d.quirks.HangUpAfter
}

// ask sends a challenge and returns the answer to it.
func (d *quirkyDialogue) ask(challenge string) string {
	d.say(334, base64.StdEncoding.EncodeToString([]byte(challenge)))
	return decode(d.line())
}

func decode(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "no base64"
	}
	return string(b)
}

func (d *quirkyDialogue) knows(name, first string, given bool) bool {
	user, secret := d.quirks.Username, d.quirks.Secret

	switch name {
	case plain:
		if !given {
			first = d.ask("")
		}
		return first == "\x00"+user+"\x00"+secret
	case login:
		return d.ask("User Name") == user && d.ask("Password") == secret
	case cramMD5:
		challenge := "<1.2@smtptest>"
		mac := hmac.New(md5.New, []byte(secret))
		mac.Write([]byte(challenge))
		return d.ask(challenge) == user+" "+hex.EncodeToString(mac.Sum(nil))
	case "XOAUTH2":
		if first == "user="+user+"\x01auth=Bearer "+secret+"\x01\x01" {
			return true
		}
		d.ask(`{"status":"400","schemes":"bearer","scope":"https://mail.example.com/"}`)
		return false
	case "OAUTHBEARER":
		begin, end := "n,a="+user+",\x01host=", "\x01auth=Bearer "+secret+"\x01\x01"
		if strings.HasPrefix(first, begin) && strings.HasSuffix(first, end) {
			return true
		}
		d.ask(`{"status":"invalid_token"}`)
		return false
	case "SCRAM-SHA-256":
		return d.scram(first, given)
	}
	return false
}

// scram is RFC 5802's exchange, without channel binding.
func (d *quirkyDialogue) scram(first string, given bool) bool {
	if !given {
		first = d.ask("")
	}
	bare, ok := strings.CutPrefix(first, "n,,")
	_, nonce, found := strings.Cut(bare, ",r=")
	if !ok || !found || !strings.HasPrefix(bare, "n="+d.quirks.Username+",") {
		return false
	}

	const iterations = 4096
	salt := []byte("salt of the sea")
	offer := fmt.Sprintf("r=%sserver,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), iterations)
	final := d.ask(offer)
	unproven, proof, _ := strings.Cut(final, ",p=")

	salted, err := pbkdf2.Key(sha256.New, d.quirks.Secret, salt, iterations, sha256.Size)
	if err != nil {
		return false
	}
	message := bare + "," + offer + "," + unproven
	client := digest(salted, "Client Key")
	stored := sha256.Sum256(client)
	signature := digest(stored[:], message)
	for i := range client {
		client[i] ^= signature[i]
	}
	if proof != base64.StdEncoding.EncodeToString(client) {
		return false
	}
	d.ask("v=" + base64.StdEncoding.EncodeToString(digest(digest(salted, "Server Key"), message)))
	return true
}

func digest(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
