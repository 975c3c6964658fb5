package kubernetes

import (
	"regexp"

	"istio.io/api/networking/v1alpha3"
)

// How the stamp travels.
const (
	defaultHeader = "X-Greenroom-Release"
	baggageHeader = "baggage"
	baggageMember = "greenroom.release"
)

// The stamp in a request's baggage, as whole-text regular expressions in RE2.
// Proxies join repeated header lines by commas before they match.
const (
	beforeMember = `(.*,)?[ \t]*greenroom\.release[ \t]*=`
	anyMember    = beforeMember + `.*`
	notEmpty     = `.+`
)

func memberOf(stamp string) *v1alpha3.StringMatch {
	return pattern(beforeMember + `[ \t]*` + regexp.QuoteMeta(stamp) + `[ \t]*([;,].*)?`)
}

func exact(s string) *v1alpha3.StringMatch {
	return &v1alpha3.StringMatch{MatchType: &v1alpha3.StringMatch_Exact{Exact: s}}
}

func pattern(s string) *v1alpha3.StringMatch {
	return &v1alpha3.StringMatch{MatchType: &v1alpha3.StringMatch_Regex{Regex: s}}
}

// headers is what a request must carry, and what it must not.
type headers struct {
	with, without map[string]*v1alpha3.StringMatch
}

// rule is one way in which a call comes to a view: what it carries, and what
// is set so that from here on it carries the stamp in both forms.
type rule struct {
	name    string
	matches []headers
	set     map[string]string
	add     map[string]string
}

// honour are the rules for calls that carry a view's stamp: in the header, or
// in baggage where there is no header. Other members of the baggage stay,
// unless the baggage names another view.
func (t *translation) honour(stamp string) []rule {
	byHeader := map[string]*v1alpha3.StringMatch{t.header: exact(stamp)}
	noHeader := map[string]*v1alpha3.StringMatch{t.header: pattern(notEmpty)}
	inBaggage := map[string]*v1alpha3.StringMatch{baggageHeader: memberOf(stamp)}
	both := map[string]*v1alpha3.StringMatch{t.header: exact(stamp), baggageHeader: memberOf(stamp)}
	noMember := map[string]*v1alpha3.StringMatch{baggageHeader: pattern(anyMember)}
	return []rule{{
		name: "carried", matches: []headers{{with: both}, {with: inBaggage, without: noHeader}},
		set: map[string]string{t.header: stamp},
	}, {
		name: "baggage-missing", matches: []headers{{with: byHeader, without: noMember}},
		add: map[string]string{baggageHeader: baggageMember + "=" + stamp},
	}, {
		name: "baggage-wrong", matches: []headers{{with: byHeader}},
		set: map[string]string{baggageHeader: baggageMember + "=" + stamp},
	}}
}

// assign are the rules for calls that get a view whatever they carry.
func (t *translation) assign(stamp string) []rule {
	return []rule{{
		name: "carried", matches: []headers{{with: map[string]*v1alpha3.StringMatch{baggageHeader: memberOf(stamp)}}},
		set: map[string]string{t.header: stamp},
	}, {
		name: "baggage-missing", matches: []headers{{without: map[string]*v1alpha3.StringMatch{baggageHeader: pattern(anyMember)}}},
		set: map[string]string{t.header: stamp},
		add: map[string]string{baggageHeader: baggageMember + "=" + stamp},
	}, {
		name: "baggage-wrong", matches: []headers{{}},
		set: map[string]string{t.header: stamp, baggageHeader: baggageMember + "=" + stamp},
	}}
}
