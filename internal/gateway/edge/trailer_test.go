package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// Trailers can say what the header may not, to a service that takes them for
// header fields.
func TestTrailersCannotForgeAStamp(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	got := make(chan http.Header, 1)
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r.Trailer
		w.Header().Set("Trailer", "X-Greenroom-Error, X-Sum")
		io.WriteString(w, strings.Repeat("x", 1<<16))
		w.Header().Set("X-Greenroom-Error", "fake")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Greenroom-Trail", "fake")
		w.Header().Set(http.TrailerPrefix+"X-More", "2")
	}))
	const trailers = "X-Greenroom-Release: r42\r\nx_greenroom_release: r42\r\nBaggage: greenroom.release=r42\r\nGreenroom-Pass: t\r\nCookie: greenroom_pass=t\r\nX-Forwarded-For: 192.0.2.1\r\nX-Sum: 3\r\n"
	for name, announced := range map[string]string{"announced": "Trailer: X-Greenroom-Release, Baggage, X-Sum\r\n", "not announced": ""} {
		answer := raw(t, f, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"+announced+"\r\n3\r\nabc\r\n0\r\n"+trailers+"\r\n")
		if sent := fmt.Sprint(<-got); sent != "map[X-Sum:[3]]" {
			t.Errorf("%s: the service got %s", name, sent)
		}
		if i := strings.Index(answer, "\r\n\r\n"); strings.Contains(answer[i:], "Greenroom") || !strings.Contains(answer[i:], "X-Sum: 1") || !strings.Contains(answer[i:], "X-More: 2") {
			t.Errorf("%s: the answer ends with %q", name, answer[max(0, len(answer)-200):])
		}
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest("POST", f.URL, io.MultiReader(strings.NewReader("abc")))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Greenroom-Release": {"r42"}, "Baggage": {"greenroom.release=r42"}, "X-Sum": {"3"}}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if sent := fmt.Sprint(<-got); sent != "map[X-Sum:[3]]" {
		t.Errorf("HTTP/2: the service got %s", sent)
	}
	if len(resp.Trailer["X-Greenroom-Error"])+len(resp.Trailer["X-Greenroom-Trail"]) != 0 || resp.Trailer.Get("X-Sum") != "1" {
		t.Errorf("HTTP/2: the answer's trailers are %v", resp.Trailer)
	}
}
