package stage

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHandler(t *testing.T) {
	k := New(span, time.Time{})
	if err := k.Switch(7, "r42", map[string]string{"gift": "v1"}); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return start }
	v1 := httptest.NewServer(Handler(k, "gift", "v1", now))
	defer v1.Close()
	v2 := httptest.NewServer(Handler(k, "gift", "v2", now))
	defer v2.Close()

	const question = `the question must be like {\"instance\":\"\u003cname\u003e\",\"epoch\":0,\"leave\":false}: `
	for _, c := range []struct {
		name, method, url, body string
		status                  int
		want                    string
	}{
		{"on stage", "POST", v1.URL + "/stage", `{"instance":"a","epoch":0,"leave":false}`, 200,
			`{"onStage":true,"epoch":7,"leaseSeconds":10,"release":"r42"}`},
		{"off stage", "POST", v2.URL + "/stage", `{"instance":"a"}`, 200,
			`{"onStage":false,"epoch":7,"retryAfterSeconds":1,"release":"r42","reason":"v1 serves, from r42"}`},
		{"a field of later", "POST", v1.URL + "/stage", `{"instance":"b","epoch":7,"mood":"good"}`, 200,
			`{"onStage":true,"epoch":7,"leaseSeconds":10,"release":"r42"}`},
		{"leaving", "POST", v1.URL + "/stage", `{"instance":"b","epoch":7,"leave":true}`, 200,
			`{"onStage":false,"epoch":7,"retryAfterSeconds":1,"release":"r42","reason":"it has left the stage"}`},
		{"who serves", "GET", v1.URL + "/", "", 200, `{"service":"gift","version":"v1","onStage":true,"epoch":7}`},
		{"who does not", "GET", v2.URL + "/", "", 200, `{"service":"gift","version":"v2","onStage":false,"epoch":7}`},
		{"no body", "POST", v1.URL + "/stage", "", 400,
			`{"title":"Bad Request","status":400,"detail":"` + question + `EOF"}`},
		{"no instance", "POST", v1.URL + "/stage", `{"epoch":7}`, 400,
			`{"title":"Bad Request","status":400,"detail":"` + question + `\"instance\" must be a name of 1 to 200 bytes that no other instance has, such as $GREENROOM_INSTANCE"}`},
		{"a long instance", "POST", v1.URL + "/stage", `{"instance":"` + strings.Repeat("a", 201) + `"}`, 400,
			`{"title":"Bad Request","status":400,"detail":"` + question + `\"instance\" must be a name of 1 to 200 bytes that no other instance has, such as $GREENROOM_INSTANCE"}`},
		{"a negative epoch", "POST", v1.URL + "/stage", `{"instance":"a","epoch":-1}`, 400,
			`{"title":"Bad Request","status":400,"detail":"` + question + `json: cannot unmarshal number -1 into Go struct field question.epoch of type uint64"}`},
		{"a huge body", "POST", v1.URL + "/stage", `{"x":"` + strings.Repeat("a", maxBody) + `"}`, 413,
			`{"title":"Request Entity Too Large","status":413,"detail":"` + question + `http: request body too large"}`},
		{"the wrong method", "GET", v1.URL + "/stage", "", 405, "Method Not Allowed"},
		{"another page", "GET", v1.URL + "/x", "", 404, "404 page not found"},
	} {
		req, err := http.NewRequest(c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(body)); res.StatusCode != c.status || got != c.want {
			t.Errorf("%s: %d %s\nwant %d %s", c.name, res.StatusCode, got, c.status, c.want)
		}
		want := "application/json"
		if c.status == 400 || c.status == 413 {
			want = "application/problem+json"
		}
		if got := res.Header.Get("Content-Type"); c.status != 404 && c.status != 405 && got != want {
			t.Errorf("%s: Content-Type %s, want %s", c.name, got, want)
		}
	}
	if got := k.Holders(start); len(got) != 1 || got[0].Instance != "a" || got[0].Version != "v1" {
		t.Errorf("holders %v, want a of v1 alone", got)
	}
}
