package frame

// UsageError is an error of the command line or the configuration.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// FileError is an error of a file that was to be checked. It is printed as it is, so that
// editors can jump to it.
type FileError struct{ Err error }

func (e FileError) Error() string { return e.Err.Error() }
func (e FileError) Unwrap() error { return e.Err }

// ConfigError is an error of the configuration file.
type ConfigError struct {
	Err  error
	File string
}

func (e ConfigError) Error() string { return e.Err.Error() }
func (e ConfigError) Unwrap() error { return e.Err }
