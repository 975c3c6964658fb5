package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Refusal is why a receiver did not take a message.
type Refusal struct {
	Status string
	Final  bool          // it will not take this one ever
	After  time.Duration // not before; 0: it does not say
}

// Error returns what the receiver answered.
func (r *Refusal) Error() string { return "it answers " + r.Status }

// SignatureHeader is where a webhook finds when it was sent and its signature:
// t=UNIX,v1=HEX, the HMAC-SHA256 of t, a dot, and the body.
const SignatureHeader = "Greenroom-Signature"

// IDHeader is where a webhook finds its id, which is the same when it comes
// again.
const IDHeader = "Greenroom-Id"

// Sign returns the signature of a body that is sent at a time.
func Sign(key string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// send makes one attempt, and returns the host that it was made at.
func (n *Notifier) send(ctx context.Context, r Receiver, e Event) (host string, _ error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	to, err := r.Secrets(ctx)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(strings.TrimSpace(to.URL))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("its address is none: it must begin with http:// or https://")
	}
	body, err := n.body(r, e)
	if err != nil {
		return u.Host, err
	}
	if r.Kind == Grafana {
		u = u.JoinPath("api", "annotations")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return u.Host, errors.New("its address cannot be asked for")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "greenroom")
	switch {
	case r.Kind == Grafana && to.Secret != "":
		req.Header.Set("Authorization", "Bearer "+to.Secret)
	case r.Kind == Webhook:
		req.Header.Set(IDHeader, idOf(n.o.Fleet, e))
		if to.Secret != "" {
			req.Header.Set(SignatureHeader, Sign(to.Secret, body, n.o.Now()))
		}
	}
	return u.Host, post(req, to, r.Timeout)
}

// post sends a request. Nothing of the address but its host is in an error,
// and a redirect is not followed: what is told is for this receiver alone.
func post(req *http.Request, to Address, timeout time.Duration) error {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: timeout}).DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: to.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	out := &Refusal{Status: fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		// somebody mends it, or it passes
	default:
		out.Final = resp.StatusCode >= 300 && resp.StatusCode < 500
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		out.After = time.Duration(min(s, 3600)) * time.Second
	}
	return out
}

// bare is an error without the address that it names.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it did not answer in time")
	}
	return err
}
