package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// served starts the backend and returns its two addresses.
func served(t *testing.T) (plain, streams string) {
	t.Helper()
	addresses, err := free(2)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = serveBackend(addresses[0], addresses[1]) }()
	for _, address := range addresses {
		l := load{Address: address, Kind: churn, Path: "/"}
		for deadline := time.Now().Add(10 * time.Second); ; {
			c, err := l.client()
			if err == nil {
				if err = c.exchange(); err == nil || !strings.Contains(err.Error(), "refused") {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	return addresses[0], addresses[1]
}

// Every kind of load is understood by the backend, and is answered what it asks.
func TestLoadAndBackendUnderstandEachOther(t *testing.T) {
	plain, streams := served(t)
	for _, q := range questions() {
		if q.Share > 0 {
			continue
		}
		t.Run(q.Name, func(t *testing.T) {
			l := q.Load
			l.Address, l.Connections, l.Seconds = plain, 2, 0.1
			if l.Kind == http2 || l.Kind == grpc {
				l.Address = streams
			}
			clients, err := l.connect()
			if err != nil {
				t.Fatal(err)
			}
			o := l.play(clients, func() {})
			if o.Requests == 0 || o.Failed != 0 {
				t.Errorf("%d requests, %d failed: %s", o.Requests, o.Failed, o.FirstError)
			}
		})
	}
}

// A proxy that answers by itself is not taken for a fast one.
func TestAnswersOfTheProxyItselfFail(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	l := load{Address: strings.TrimPrefix(server.URL, "http://"), Kind: http1, Path: "/", Connections: 1, Seconds: 0.05}
	clients, err := l.connect()
	if err != nil {
		t.Fatal(err)
	}
	if o := l.play(clients, func() {}); o.Failed != o.Requests || o.Requests == 0 {
		t.Errorf("%d of %d failed", o.Failed, o.Requests)
	}
}

// A stall counts for every request that was due in it, not only for the one that
// met it.
func TestAStallCountsForAllThatWereDue(t *testing.T) {
	stalled := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !stalled {
			stalled = true
			time.Sleep(800 * time.Millisecond)
		}
		_, _ = w.Write([]byte(strings.Repeat("x", small)))
	}))
	defer server.Close()
	l := load{Address: strings.TrimPrefix(server.URL, "http://"), Kind: http1, Path: "/", Connections: 1, Seconds: 1, Rate: 100}
	clients, err := l.connect()
	if err != nil {
		t.Fatal(err)
	}
	// Eighty requests were due while it lasted and seventy afterwards, so more than
	// half of them waited. A client that excused itself would count one.
	if o := l.play(clients, func() {}); o.P50 < 5e3 {
		t.Errorf("half of the requests took less than %.0f us", o.P50)
	}
}

func TestSpread(t *testing.T) {
	runs := []measured{{CPU: 30}, {CPU: 10}, {CPU: 20}}
	if got := spread(runs, cpu).String(); got != "20.0 (10.0–30.0)" {
		t.Error(got)
	}
}
