package dashboard

import "github.com/greenroom-dev/greenroom/internal/httpapi"

// grants are the actions for which somebody sees buttons.
type grants map[httpapi.Action]bool

// grants asks what somebody may do, with a release or at all.
func (v *visit) grants(release string) grants {
	out := grants{}
	for _, a := range httpapi.Actions() {
		if v.may(a, release) {
			out[a] = true
		}
	}
	return out
}
