package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/metrics"
)

// scrape returns greenroom's own lines.
func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp.Status, err)
	}
	return string(b)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestWhatGoesThroughAFleetIsCounted(t *testing.T) {
	m := metrics.New("v1.2.3")
	f := gatewaytest.New(t, gatewaytest.Config{Metrics: m})
	hold := make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/teapot":
			w.WriteHeader(418)
		case "/broken":
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/hold":
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			<-hold
		}
	}))
	f.View("r41.2", "web@1", "job@1", "idle@1")
	f.View("r40", "web@1", "job@1")
	f.Publish("r41.2")
	for _, path := range []string{"/broken", "/", "/", "/teapot"} {
		resp, err := http.Get(f.URL + path)
		if err != nil {
			if path == "/broken" { // first, since a client tries again what breaks on a used connection
				continue
			}
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	web := f.Calls("job@1", "web", "idle")
	for _, url := range []string{web["web"], web["idle"]} {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Greenroom-Release", "r7")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	resp, err := http.Get(f.URL + "/hold")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text := scrape(t, m)
	close(hold)
	wantLines(t, text,
		`greenroom_requests_total{code_class="2xx",hop="edge",release="r41",service="web"} 2`,
		`greenroom_requests_total{code_class="4xx",hop="edge",release="r41",service="web"} 1`,
		`greenroom_requests_total{code_class="broken",hop="edge",release="r41",service="web"} 1`,
		`greenroom_requests_total{code_class="2xx",hop="mesh",release="r41",service="web"} 1`,
		`greenroom_requests_total{code_class="5xx",hop="mesh",release="r41",service="idle"} 1`,
		`greenroom_request_duration_seconds_count{code_class="2xx",release="r41",service="web"} 3`,
		`greenroom_in_flight{release="r41",service="web"} 1`,
		`greenroom_in_flight{release="r41",service="idle"} 0`,
		`greenroom_unstamped_calls_total{callee="web",caller="job",reason="unknown"} 1`,
		`greenroom_late_calls_total{callee="web",caller="job"} 1`,
		`greenroom_own_errors_total{code="no-instance"} 1`,
	)
	if !strings.Contains(text, `version="v1.2.3"} 1`) || !strings.Contains(text, "go_goroutines") {
		t.Error("build info or the runtime's metrics are missing")
	}
	m.Forget("r41")
	if text := scrape(t, m); strings.Contains(text, `release="r41"`) {
		t.Error("something of r41 was kept")
	}
}

func TestReleases(t *testing.T) {
	m := metrics.New("")
	m.Phase("r42", "Preparing", true)
	m.Phase("r42", "Preparing", false)
	m.Phase("r42", "Previewing", true)
	m.Phase("r43", "Live", true)
	m.Switched("promote")
	m.Switched("promote")
	m.Switched("rollback")
	text := scrape(t, m)
	wantLines(t, text,
		`greenroom_release_phase{phase="Previewing",release="r42"} 1`,
		`greenroom_release_phase{phase="Live",release="r43"} 1`,
		`greenroom_promotions_total{kind="promote"} 2`,
		`greenroom_promotions_total{kind="rollback"} 1`,
	)
	if strings.Contains(text, "Preparing") {
		t.Error("a phase that was left is kept")
	}
	m.Forget("r42")
	if text := scrape(t, m); strings.Contains(text, "r42") || !strings.Contains(text, "r43") {
		t.Error("Forget took too little or too much")
	}
}

func TestUpgradedConnectionsAreNoLatency(t *testing.T) {
	m := metrics.New("")
	f := m.Flow("web", "r1")
	f.Began()
	f.Ended(gateway.Edge, 101, -1)
	f.Began()
	f.Ended(gateway.Edge, 200, time.Millisecond)
	f.Began()
	f.Ended(gateway.Mesh, 999, time.Millisecond)
	text := scrape(t, m)
	wantLines(t, text,
		`greenroom_requests_total{code_class="1xx",hop="edge",release="r1",service="web"} 1`,
		`greenroom_requests_total{code_class="broken",hop="mesh",release="r1",service="web"} 1`,
		`greenroom_request_duration_seconds_count{code_class="2xx",release="r1",service="web"} 1`,
		`greenroom_in_flight{release="r1",service="web"} 0`,
	)
	if strings.Contains(text, `duration_seconds_count{code_class="1xx",release="r1",service="web"} 1`) {
		t.Error("an upgraded connection counts as a latency")
	}
}
