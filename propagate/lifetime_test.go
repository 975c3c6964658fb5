package propagate_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/greenroom-dev/greenroom/propagate"
)

type tenantKey struct{}

func TestDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, hangUp := context.WithTimeout(context.WithValue(t.Context(), tenantKey{}, "acme"), time.Second)
		client = propagate.WithStamp(client, "r42")
		ctx, cancel := propagate.Detach(client)
		defer cancel()
		if got := propagate.StampFrom(ctx); got != "r42" || ctx.Value(tenantKey{}) != "acme" {
			t.Errorf("values are lost: stamp %q, tenant %v", got, ctx.Value(tenantKey{}))
		}
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) != propagate.DefaultDeadline {
			t.Errorf("deadline in %v, want %v", time.Until(deadline), propagate.DefaultDeadline)
		}
		hangUp()
		<-propagate.Disconnected(ctx)
		time.Sleep(propagate.DefaultDeadline - time.Nanosecond)
		if err := ctx.Err(); err != nil {
			t.Fatalf("ended before its deadline: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", ctx.Err())
		}
	})
}

func TestDetachEndsWithTheBase(t *testing.T) {
	why := errors.New("the server goes down")
	for name, with := range map[string]func(base context.Context) (context.Context, context.CancelFunc){
		"option": func(base context.Context) (context.Context, context.CancelFunc) {
			return propagate.Detach(context.Background(), propagate.WithBase(base))
		},
		"base context": func(base context.Context) (context.Context, context.CancelFunc) {
			return propagate.Detach(context.WithoutCancel(propagate.Base(base)(nil)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, shutDown := context.WithCancelCause(context.Background())
			ctx, cancel := with(base)
			defer cancel()
			if ctx.Err() != nil {
				t.Fatal("ended at once")
			}
			shutDown(why)
			<-ctx.Done()
			if got := context.Cause(ctx); got != why {
				t.Errorf("cause %v, want %v", got, why)
			}
		})
	}
}

// TestTheDeadlineOfAWriteCountsFromTheClientsLeaving also covers the end by the
// handler's return.
func TestTheDeadlineOfAWriteCountsFromTheClientsLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := propagate.New(propagate.WithEnviron(nil), propagate.WithDeadline(time.Minute))
		client, hangUp := context.WithCancel(t.Context())
		ctx, done := p.Receive(client, propagate.MapCarrier{}, true)
		time.Sleep(time.Hour) // an upload
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("ended while the client was there: %v", context.Cause(ctx))
		}
		hangUp()
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("ended before the deadline: %v", context.Cause(ctx))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", context.Cause(ctx))
		}
		done()

		ctx, done = p.Receive(t.Context(), propagate.MapCarrier{}, true)
		done()
		if ctx.Err() == nil {
			t.Error("goes on after the handler has returned")
		}
	})
}

func TestReceiveTwiceKeepsTheClient(t *testing.T) {
	p := propagate.New(propagate.WithEnviron(nil))
	client, hangUp := context.WithCancel(context.Background())
	outer, done := p.Receive(client, propagate.MapCarrier{propagate.Header: "r42"}, true)
	defer done()
	inner, done := p.Receive(outer, propagate.MapCarrier{}, true)
	defer done()
	hangUp()
	<-propagate.Disconnected(inner)
	if inner.Err() != nil || propagate.StampFrom(inner) != "r42" {
		t.Errorf("err %v, stamp %q", inner.Err(), propagate.StampFrom(inner))
	}
}

func TestBaseByOptionReachesAllRequests(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			base, shutDown := context.WithCancel(context.Background())
			defer shutDown()
			began, ended := make(chan struct{}), make(chan struct{})
			h := propagate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(began)
				<-r.Context().Done()
				close(ended)
			}), propagate.WithBase(base))
			srv := httptest.NewServer(h)
			defer srv.Close()
			go func() {
				req, err := http.NewRequest(method, srv.URL, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if res, err := http.DefaultClient.Do(req); err == nil {
					res.Body.Close()
				}
			}()
			<-began
			shutDown()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the request goes on")
			}
		})
	}
}

// TestTheBodyOfAClientThatLeft hangs up in the middle of an upload: on a bare
// connection, and by resetting a stream of HTTP/2.
func TestTheBodyOfAClientThatLeft(t *testing.T) {
	began, result := make(chan struct{}), make(chan error, 1)
	srv := httptest.NewUnstartedServer(propagate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		if r.Context().Err() != nil {
			err = fmt.Errorf("the write's context ended: %w", context.Cause(r.Context()))
		}
		for range 100 { // must not panic
			w.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
		http.NewResponseController(w).Flush()
		result <- err
	})))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	want := func(t *testing.T, err error) {
		t.Helper()
		select {
		case got := <-result:
			if got == nil || !strings.Contains(got.Error(), err.Error()) {
				t.Errorf("reading the body: %v, want %v", got, err)
			}
		case <-time.After(patience):
			t.Fatal("the handler hangs")
		}
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{RootCAs: rootsOf(srv), ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
		<-began
		conn.Close()
		want(t, io.ErrUnexpectedEOF)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		ctx, hangUp := context.WithCancel(context.Background())
		body, more := io.Pipe()
		req, err := http.NewRequestWithContext(ctx, "POST", srv.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if res, err := srv.Client().Do(req); err == nil {
				t.Errorf("answered by %s", res.Proto)
				res.Body.Close()
			}
		}()
		fmt.Fprint(more, "half")
		<-began
		hangUp()
		want(t, errors.New("CANCEL"))
	})
}

func rootsOf(srv *httptest.Server) *x509.CertPool {
	return srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
}

func TestWithWrites(t *testing.T) {
	search := func(r *http.Request) bool { return r.Method == "POST" && r.URL.Path != "/search" }
	outlives := func(method, path string) bool {
		client, hangUp := context.WithCancel(context.Background())
		hangUp()
		alive := false
		h := propagate.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			alive = r.Context().Err() == nil
		}), propagate.WithWrites(search))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(client, method, path, nil))
		return alive
	}
	if !outlives("POST", "/gift") || outlives("POST", "/search") || outlives("PUT", "/gift") {
		t.Error("the option does not decide")
	}
}
