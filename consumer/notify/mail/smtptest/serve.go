package smtptest

// TB is what Serve needs of a testing.TB. The programs that use this package are not linked
// with package testing.
type TB interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Cleanup(f func())
}

// Serve starts a server that lives as long as the test.
func Serve(t TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
