package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// recheck is how often certificate files are looked at, at most.
const recheck = time.Second

// Certificates are the edge's certificates, read again when their files
// change. It is safe for concurrent use.
type Certificates struct {
	log *slog.Logger

	mu      sync.Mutex
	checked time.Time
	loaded  []*certificate
}

type certificate struct {
	files fleet.Certificate
	seen  [2]fileMark
	pair  *tls.Certificate
}

// fileMark tells one content of a file from another.
type fileMark struct {
	time time.Time
	size int64
}

// OpenCertificates reads certificates. Its error names the file.
func OpenCertificates(files []fleet.Certificate, log *slog.Logger) (*Certificates, error) {
	if len(files) == 0 {
		return nil, errors.New("TLS is on, but no certificate is named: set spec.edge.tls.certificates")
	}
	c := &Certificates{log: log, checked: time.Now()}
	for _, f := range files {
		one := &certificate{files: f}
		if err := one.load(); err != nil {
			return nil, err
		}
		c.loaded = append(c.loaded, one)
	}
	return c, nil
}

// load reads both files. What was read before stays when one is bad.
func (c *certificate) load() error {
	seen, err := c.look()
	if err != nil {
		return err
	}
	c.seen = seen
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate %s with the key %s: %w", c.files.CertFile, c.files.KeyFile, err)
	}
	c.pair = &pair
	return nil
}

func (c *certificate) look() (seen [2]fileMark, err error) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return seen, fmt.Errorf("looking at a certificate's file: %w", err)
		}
		seen[i] = fileMark{info.ModTime(), info.Size()}
	}
	return seen, nil
}

// Get returns the first certificate that suits a client, else the first. It is
// a tls.Config.GetCertificate.
func (c *Certificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= recheck {
		c.checked = now
		c.refresh()
	}
	for _, one := range c.loaded {
		if hello.SupportsCertificate(one.pair) == nil {
			return one.pair, nil
		}
	}
	return c.loaded[0].pair, nil
}

// refresh reads files that changed. A bad one is told once, and what was read
// before stays in use.
func (c *Certificates) refresh() {
	for _, one := range c.loaded {
		seen, err := one.look()
		if err == nil && seen == one.seen {
			continue
		}
		if err != nil {
			seen = [2]fileMark{} // gone: told once, by looking different only once
			if one.seen == seen {
				continue
			}
			one.seen = seen
		} else {
			err = one.load()
		}
		if err != nil {
			c.log.Error("a certificate that changed cannot be used; the former stays in use", "error", err)
			continue
		}
		c.log.Info("a certificate was read again", "file", one.files.CertFile)
	}
}
