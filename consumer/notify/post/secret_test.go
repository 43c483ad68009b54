package post_test

import (
	"os"
	"path/filepath"
	"testing"

	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
)

func TestInvalidSecret(t *testing.T) {
	const wrong = "ftp://s3cret"
	for _, tc := range []struct {
		name   string
		secret post.Secret
		want   []string
	}{
		{name: "neither", secret: post.SecretURL("", ""), want: []string{"url_file: missing; give the file that holds it, or url itself"}},
		{name: "both", secret: post.SecretURL("https://s3cret", "f"), want: []string{"url: given together with url_file"}},
		{name: "both, one of the wrong form", secret: post.SecretURL(wrong, "f"), want: []string{"url: given together with url_file", "url: invalid URL"}},
		{name: "of the wrong form", secret: post.SecretURL(wrong, ""), want: []string{"url: invalid URL"}},
	} {
		t.Run(tc.name, func(t *testing.T) { notifytest.Invalid(t, tc.secret.Validate(), "s3cret", tc.want...) })
	}
}

func TestSecretOfAFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right := post.SecretURL("", write("right", "https://s3cret\n"))
	if err := right.Validate(); err != nil {
		t.Error(err)
	}
	if key, value, err := right.Reveal(); key != "url_file" || value != "https://s3cret" || err != nil {
		t.Errorf("%s is %q, %v", key, value, err)
	}
	if key, value, err := post.SecretURL("https://s3cret", "").Reveal(); key != "url" || value != "https://s3cret" || err != nil {
		t.Errorf("%s is %q, %v", key, value, err)
	}

	// What is wrong in a file is seen when it is read.
	for _, file := range []string{write("wrong", "ftp://s3cret"), filepath.Join(dir, "none")} {
		wrong := post.SecretURL("", file)
		if err := wrong.Validate(); err != nil {
			t.Error(err)
		}
		_, _, err := wrong.Reveal()
		notifytest.Invalid(t, err, "s3cret", "url_file: ")
	}
}
