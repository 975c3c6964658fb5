package hook

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// MaxOutput is how much of a hook's output is kept, in bytes: its end, where
// the reason of a failure stands.
const MaxOutput = 64 << 10

// masked stands where a secret was.
const masked = "[pass]"

// Output keeps the end of what is written to it, without the secret. It is
// safe for concurrent use.
type Output struct {
	mu     sync.Mutex
	secret []byte // empty: none
	held   []byte // the end of what was written, if a secret may begin in it
	kept   []byte // at most twice MaxOutput
	cut    int    // bytes that were dropped before kept
}

// NewOutput returns an empty one; "" is no secret.
func NewOutput(secret string) *Output { return &Output{secret: []byte(secret)} }

// Write never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := append(o.held, p...)
	o.held = nil
	if len(o.secret) > 0 {
		text = bytes.ReplaceAll(text, o.secret, []byte(masked))
		n := beginning(text, o.secret)
		o.held = bytes.Clone(text[len(text)-n:])
		text = text[:len(text)-n]
	}
	o.kept = append(o.kept, text...)
	if len(o.kept) > 2*MaxOutput {
		o.drop()
	}
	return len(p), nil
}

// beginning returns how many bytes at the end of text are the beginning of
// secret.
func beginning(text, secret []byte) int {
	for n := min(len(text), len(secret)-1); n > 0; n-- {
		if bytes.HasSuffix(text, secret[:n]) {
			return n
		}
	}
	return 0
}

func (o *Output) drop() {
	n := len(o.kept) - MaxOutput
	o.cut += n
	o.kept = append(o.kept[:0], o.kept[n:]...)
}

// String returns what was kept. What looks like the beginning of the secret at
// the very end is kept too: it is no secret without its rest.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept, o.held = append(o.kept, o.held...), nil
	if len(o.kept) > MaxOutput {
		o.drop()
	}
	kept := o.kept
	if o.cut > 0 { // do not begin within a character
		for len(kept) > 0 && !utf8.RuneStart(kept[0]) {
			kept = kept[1:]
		}
	}
	text := strings.ToValidUTF8(string(kept), "\uFFFD")
	if o.cut == 0 {
		return text
	}
	return fmt.Sprintf("[the first %d bytes of the output were not kept]\n%s", o.cut+len(o.kept)-len(kept), text)
}

// mask takes a secret out of a text.
func mask(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, masked)
}
