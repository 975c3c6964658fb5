package edge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

func TestAnswersBesideTheDefaultAreKeptByNobody(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	const answer = "/?answer=Cache-Control:%20public,max-age=600&answer=CDN-Cache-Control:%20max-age=60&answer=Surrogate-Control:%20max-age=60&answer=Cloudflare-CDN-Cache-Control:%20max-age=6&answer=X-Accel-Expires:%2060&answer=Expires:%20never"
	_, resp := seen(t, request(t, "GET", f.URL+answer))
	if resp.Header.Get("Cache-Control") != "public,max-age=600" || resp.Header.Get("CDN-Cache-Control") != "max-age=60" {
		t.Errorf("the default's answer was changed: %v", resp.Header)
	}
	held := func() *http.Response {
		_, resp := seen(t, request(t, "GET", f.URL+answer, "Greenroom-Pass: "+f.Pass("r42", "u42")))
		return resp
	}
	h := held().Header
	for name, want := range map[string]string{
		"Cache-Control": "private, no-store", "Cdn-Cache-Control": "no-store", "Surrogate-Control": "no-store",
		"Cloudflare-Cdn-Cache-Control": "", "X-Accel-Expires": "", "Expires": "",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f.Publish("r42")
	if h := held().Header; h.Get("Cache-Control") != "private, no-store" || h.Get("X-Greenroom-Release") != "r42" {
		t.Errorf("what names the release as default: %v", h)
	}
}

// A promotion between a request and its answer makes the answer one beside the
// default.
func TestCachingIsJudgedWhenTheAnswerComes(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	arrived, answer := make(chan struct{}), make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	got := make(chan string)
	go func() {
		resp, err := http.Get(f.URL)
		if err != nil {
			got <- err.Error()
			return
		}
		resp.Body.Close()
		got <- resp.Header.Get("Cache-Control")
	}()
	<-arrived
	f.Publish("r42")
	close(answer)
	if cc := <-got; cc != "private, no-store" {
		t.Errorf("Cache-Control: %s", cc)
	}
}
