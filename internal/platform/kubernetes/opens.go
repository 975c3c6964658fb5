package kubernetes

import "github.com/greenroom-dev/greenroom/internal/release"

// OpenedByAnnotation is on a Release the name, as the API server knows people,
// of who applied it by kubectl greenroom.
const OpenedByAnnotation = "greenroom.dev/opened-by"

// PassOpens says what a pass for a release, by name and UID, opens at the
// gateways: the view of a stamp, or with "" what everybody gets. It is false
// where the pass is refused. One that names no release is for what serves.
func PassOpens(s release.State, name, uid string) (stamp string, ok bool) {
	if name == "" && uid == "" {
		return s.Default, true
	}
	r, known := s.Releases[name]
	if !known || r.UID != uid {
		return "", false
	}
	switch passOpens(s, r) {
	case previewOpens:
		return r.View, true
	case ordinaryOpens:
		return "", true
	}
	return "", false
}
