package client

// Named is a release's name as people are told it: the server says how, for what
// serves and for what that took the place of. Others are called by their names.
func (s Status) Named(release string) string {
	switch {
	case release == s.Serving.Release && s.Serving.Named != "":
		return s.Serving.Named
	case release == s.Serving.Before && s.Serving.NamedBefore != "":
		return s.Serving.NamedBefore
	}
	return release
}
