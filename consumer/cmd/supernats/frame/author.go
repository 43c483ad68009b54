package frame

import (
	"os"
	"os/user"
	"strconv"
)

// Author is who gives a command, USER@HOST, where no other is named.
func Author() string {
	name := os.Getenv("USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		} else { // as in a container, whose user has no name
			name = "uid" + strconv.Itoa(os.Getuid())
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}
