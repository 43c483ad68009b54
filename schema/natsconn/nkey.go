package natsconn

import (
	"bytes"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// nkeyOption logs in with the seed in a file, which is read again at every login. It also
// takes files that editors have written: nats.NkeyOptionFromSeed refuses a seed with a
// carriage return or a space after it as damaged.
func nkeyOption(file string) (nats.Option, error) {
	kp, err := readNkey(file)
	if err != nil {
		return nil, err
	}
	defer kp.Wipe()

	public, err := kp.PublicKey()
	if err != nil {
		return nil, err
	}
	if !nkeys.IsValidPublicUserKey(public) {
		return nil, nkeys.ErrInvalidUserSeed
	}

	sign := func(nonce []byte) ([]byte, error) {
		kp, err := readNkey(file)
		if err != nil {
			return nil, &FileError{"nats-nkey", file, err}
		}
		defer kp.Wipe()
		return kp.Sign(nonce)
	}
	return nats.Nkey(public, sign), nil
}

func readNkey(file string) (nkeys.KeyPair, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)

	lines := bytes.Split(bytes.TrimPrefix(b, []byte("\ufeff")), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimSpace(lines[i])
	}
	tidy := bytes.Join(lines, []byte("\n"))
	defer clear(tidy)
	return nkeys.ParseDecoratedNKey(tidy)
}
