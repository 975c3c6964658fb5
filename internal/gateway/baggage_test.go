package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

func TestSetBaggage(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		trail string
		want  string
	}{
		{"nothing there", nil, "", "greenroom.release=r42"},
		{"others keep their bytes and order", []string{"b=2;p=1;q , a=%C3%A4"}, "", "greenroom.release=r42,b=2;p=1;q,a=%C3%A4"},
		{"several lines", []string{"a=1", "b=2"}, "", "greenroom.release=r42,a=1,b=2"},
		{"foreign stamps, any case, spaces, properties", []string{"greenroom.release=x, Greenroom.Release=y,greenroom.release =z;p,a=1", "greenroom.release=w"}, "", "greenroom.release=r42,a=1"},
		{"foreign stamps in the clothes of others", []string{
			"greenroom%2Erelease=x,%67reenroom.release=y,greenroom.release+=z,+greenroom.release=w",
			"greenroom%252Erelease=x,%20greenroom.release=y,greenroom.release%C2%A0=z,greenroom.release%1F=w,%47reenroom%2etrail=v,a%zz=1,a%41+b=1",
		}, "", "greenroom.release=r42,a%41+b=1"},
		{"a foreign trail", []string{"a=1,greenroom.trail=AAAA"}, "", "greenroom.release=r42,a=1"},
		{"our trail", []string{"a=1"}, "T", "greenroom.release=r42,greenroom.trail=T,a=1"},
		{"malformed members", []string{`a,b="x",c=%zz,d=%ff,=e, ,f=1 2,g=ok,h=1;=x`}, "", "greenroom.release=r42,g=ok"},
		{"names that only begin like ours", []string{"greenroom.releases=1,xgreenroom.release=2"}, "", "greenroom.release=r42,greenroom.releases=1,xgreenroom.release=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := field.Map{}
			if c.lines != nil {
				h["Baggage"] = c.lines
			}
			setBaggage(h, "r42", c.trail)
			if got := strings.Join(h["Baggage"], "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, err := baggage.Parse(field.First(h, "Baggage")); err != nil {
				t.Errorf("a service cannot read it: %v", err)
			}
			if got := baggageStamp(h); got != "r42" {
				t.Errorf("read back: %q", got)
			}
		})
	}
}

// What a client puts into baggage must not make services drop the stamp.
func TestBaggageFloodLeavesTheStamp(t *testing.T) {
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprintf("k%d=v", i)
	}
	for name, line := range map[string]string{
		"members": strings.Join(many, ","),
		"bytes":   "a=" + strings.Repeat("x", 5000) + ",b=" + strings.Repeat("x", 5000) + ",c=1",
	} {
		t.Run(name, func(t *testing.T) {
			h := field.Map{"Baggage": {line}}
			setBaggage(h, "r42.2", "")
			b, err := baggage.Parse(field.First(h, "Baggage"))
			if err != nil || b.Member("greenroom.release").Value() != "r42.2" {
				t.Errorf("a service reads %q, %v", b.Member("greenroom.release").Value(), err)
			}
			if b.Len() < 2 {
				t.Error("nothing of the client's was left")
			}
		})
	}
}

func TestReadStamp(t *testing.T) {
	for _, c := range []struct {
		h    http.Header
		want string
	}{
		{http.Header{}, ""},
		{http.Header{"X-Greenroom-Release": {"r1"}}, "r1"},
		{http.Header{"X-Greenroom-Release": {"r1"}, "Baggage": {"greenroom.release=r2"}}, "r1"},
		{http.Header{"X-Greenroom-Release": {""}, "Baggage": {"a=1, greenroom.release=r2;p"}}, "r2"},
		{http.Header{"Baggage": {"a=1", "greenroom.release=r2"}}, "r2"},
		{http.Header{"Baggage": {"xgreenroom.release=r2"}}, ""},
	} {
		if got := ReadStamp(field.Map(c.h), "X-Greenroom-Release"); got != c.want {
			t.Errorf("%v: %q, want %q", c.h, got, c.want)
		}
	}
}
