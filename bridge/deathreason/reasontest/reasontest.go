// Package reasontest writes reasons of deaths as tables of tests have them.
package reasontest

import (
	"strconv"

	"supernats/schema"
)

// Show writes a reason: "code 3", "SIGKILL", "spawnerr …", or "unknown" if there is none.
func Show(e *schema.Exit) string {
	switch {
	case e == nil:
		return "unknown"
	case e.Code != nil:
		return "code " + strconv.Itoa(*e.Code)
	case e.SpawnErr != "":
		return "spawnerr " + e.SpawnErr
	}
	return e.Signal
}
