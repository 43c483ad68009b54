package frame

import (
	"cmp"
	"os"
	"os/user"
)

// Author is who gives a command, USER@HOST, where no other is named.
func Author() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return cmp.Or(name, "unknown") + "@" + host
}
