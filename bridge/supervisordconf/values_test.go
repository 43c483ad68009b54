package supervisordconf

import "testing"

// One meaning of a log's target for all who ask (datatypes.py logfile_name).
func TestTargetOf(t *testing.T) {
	for value, want := range map[string]LogTarget{
		"": LogAuto, "AUTO": LogAuto, "auto": LogAuto,
		"NONE": LogNone, "off": LogNone, "/dev/null": LogNone,
		"syslog": LogSyslog, "SysLog": LogSyslog,
		"/dev/stdout": LogStream, "/dev/fd/1": LogStream, "/proc/self/fd/2": LogStream,
		"/var/log/app.log": LogFile, "app.log": LogFile, "/var/log/none": LogFile, "~/app.log": LogFile,
	} {
		if got := TargetOf(value); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}

// Values are known as far as supervisord takes them.
func TestValues(t *testing.T) {
	s := &Section{Name: "program:app", Options: map[string]string{
		"a": "Yes", "b": "off", "c": "perhaps", "d": "7", "e": "seven", "f": "%(process_num)d",
	}}
	for option, want := range map[string][2]bool{"a": {true, true}, "b": {false, true}, "c": {true, false}, "none": {true, true}} {
		if got, known := s.Bool(option, true); got != want[0] || known != want[1] {
			t.Errorf("%s: %v, %v", option, got, known)
		}
	}
	for option, want := range map[string]int{"d": 7, "e": 3, "f": 0, "none": 3} {
		if got, known := s.Int(option, 3); got != want || known != (option != "e") {
			t.Errorf("%s: %d, %v", option, got, known)
		}
	}
}
