package deaths

import (
	"cmp"
	"fmt"

	"supernats/schema"
)

// SupervisordWords is the reason of a death in supervisord's words.
func SupervisordWords(e *schema.Exit) string {
	switch {
	case e == nil:
		return "unknown reason"
	case e.Code != nil:
		return fmt.Sprintf("exit status %d", *e.Code)
	case e.OOM != nil:
		return e.Signal + ", " + e.OOM.String()
	case e.Signal != "":
		return e.Signal
	}
	return cmp.Or(e.SpawnErr, "unknown reason")
}
