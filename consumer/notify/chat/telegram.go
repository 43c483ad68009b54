package chat

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
	"supernats/consumer/wording"
	"supernats/schema/secretfile"
)

const (
	// maxTelegram is Telegram's limit of a message, in UTF-16.
	maxTelegram    = 4096
	defaultAPIHost = "https://api.telegram.org"
)

// TelegramConfig is the section telegram of a receiver: a message of a bot.
type TelegramConfig struct {
	// Token is the bot's; TokenFile is read at every delivery.
	Token     secretfile.Secret `yaml:"token"`
	TokenFile string            `yaml:"token_file"`
	// ChatID is a number, below zero for groups, or the @name of a channel.
	ChatID string `yaml:"chat_id"`
	// Thread is the topic of a group that has topics.
	Thread int `yaml:"message_thread_id"`
	// APIURL is that of the Bot API, Telegram's own by default.
	APIURL          string `yaml:"api_url"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c TelegramConfig) WithDefaults() TelegramConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	c.APIURL = cmp.Or(c.APIURL, defaultAPIHost)
	return c
}

var (
	botToken = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)
	chatID   = regexp.MustCompile(`^(-?[0-9]{1,19}|@[A-Za-z0-9_]{1,64})$`)
)

// Validate reports everything that is wrong, a line for each key.
func (c TelegramConfig) Validate() error {
	errs := []error{c.token().Validate()}
	if !chatID.MatchString(c.ChatID) {
		errs = append(errs, fmt.Errorf(
			"chat_id: invalid value %q: want a number, -1001234567890 for a group, or the @name of a channel",
			wording.Clip(c.ChatID, 80)))
	}
	if c.Thread < 0 {
		errs = append(errs, fmt.Errorf("message_thread_id: invalid value %d: want a number above zero", c.Thread))
	}
	return errors.Join(append(errs, post.ValidateURL("api_url", c.APIURL), c.HTTPConfig.Validate())...)
}

func (c TelegramConfig) token() post.Secret {
	return post.Secret{Key: "token", Value: c.Token, File: c.TokenFile, Check: checkToken}
}

// checkToken keeps a wrong one from becoming another path. The token is not shown.
func checkToken(key, token string) error {
	if !botToken.MatchString(token) {
		return fmt.Errorf("%s: invalid token: want what BotFather gave, 123456:ABC…", key)
	}
	return nil
}

type telegramMessage struct {
	ChatID    string `json:"chat_id"`
	Thread    int    `json:"message_thread_id,omitempty"`
	Text      string `json:"text"`
	ParseMode string `json:"parse_mode"`
	Preview   struct {
		Disabled bool `json:"is_disabled"`
	} `json:"link_preview_options"`
}

// NewTelegram returns a receiver that has a bot send a message.
func NewTelegram(name string, c TelegramConfig, id notify.Identity) (notify.Receiver, error) {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	code := func(s string) string { return "<code>" + escape(s) + "</code>" }
	d := dialect{
		strong: func(s string) string { return "<b>" + s + "</b>" },
		// Outside of code, names and links are found without any markup, and a person of
		// that name is notified.
		name: code, text: codeIf("@#/$", escape, code),
		// No buttons: Telegram refuses the whole message for the name of a host without a dot.
		link: func(name, address string) string { return `<a href="` + escape(address) + `">` + name + "</a>" },
		most: 4, size: units, max: maxTelegram,
	}

	return post.Posting{
		Name: name, Kind: "telegram", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: c.address,
		Body: func(batch []*notify.Notification) any {
			m := telegramMessage{ChatID: c.ChatID, Thread: c.Thread, Text: d.write(batch, id), ParseMode: "HTML"}
			m.Preview.Disabled = true
			return m
		},
	}.Receiver()
}

// address is the request to the bot, without a body.
func (c TelegramConfig) address() (post.Request, error) {
	key, token, err := c.token().Reveal()
	return post.Request{
		URL: strings.TrimSuffix(c.APIURL, "/") + "/bot" + token + "/sendMessage",
		// 404 is the answer to a token of the wrong form.
		URLKey: "api_url and " + key, AuthKey: key + " and chat_id", BodyKey: "chat_id",
		Secrets: []string{token}, RetryAfter: telegramWait, Accepted: telegramAccepted,
	}, err
}

// telegramWait reads how long to wait from the text of an answer: Telegram has no
// header for it.
func telegramWait(body []byte) time.Duration {
	var answer struct {
		Parameters struct {
			RetryAfter float64 `json:"retry_after"`
		} `json:"parameters"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return 0
	}
	return post.Seconds(answer.Parameters.RetryAfter)
}
