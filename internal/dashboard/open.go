package dashboard

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// openForm opens a release: of versions that are typed, service by service, or
// of a document that is pasted. Nothing that was typed is lost by a refusal.
type openForm struct {
	Name, Reason, Document string
	Versions               []versionField
	Paste                  bool            // the document is shown
	Replaces               *client.Release // of the same name, and not over: it would be changed
	Would                  *client.Changed // what a look ahead found
	Problem                *problem        // of the whole
	NameWrong              []client.DocumentError
	DocumentWrong          []client.DocumentError
}

// versionField is where the version of one service is typed.
type versionField struct {
	Service string
	Serving string // the version that serves, by name
	Runs    string // the same as it would be typed
	Value   string
	Wrong   []client.DocumentError
}

// setPrefix is before a service's name in the name of its field.
const setPrefix = "set."

// maxOpening bounds what is read of the form, in bytes: a document of the size
// that the API takes, as a browser encodes it.
const maxOpening = 4 << 20

func (d *Dashboard) askOpen(v *visit) {
	if !v.admitted(httpapi.Open) {
		return
	}
	m, err := d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	v.openPage(http.StatusOK, openForm{Name: v.r.URL.Query().Get("name"), Versions: versionFields(m, nil)})
}

func (v *visit) openPage(status int, f openForm) {
	f.Paste = f.Document != ""
	title := v.t("open.title")
	if f.Problem != nil { // which is read out first
		title = f.Problem.Title + " · " + title
	}
	v.answer(status, "open.page", title, "releases", subject{kind: "settings"}, f)
}

// versionFields are a field for each of the fleet's services, and for others of
// which something was typed: they may have left the fleet since.
func versionFields(m *moment, typed map[string]string) []versionField {
	var out []versionField
	rest := maps.Clone(typed)
	for _, s := range m.status.Services {
		field := versionField{Service: s.Name, Value: typed[s.Name]}
		for _, version := range s.Versions {
			if version.Serving {
				field.Serving, field.Runs = version.Name, version.Runs
			}
		}
		out = append(out, field)
		delete(rest, s.Name)
	}
	for _, service := range slices.Sorted(maps.Keys(rest)) {
		if rest[service] != "" {
			out = append(out, versionField{Service: service, Value: rest[service]})
		}
	}
	return out
}

// doOpen opens a release, or with "check" says what that would do.
func (d *Dashboard) doOpen(v *visit) {
	if !v.admitted(httpapi.Open) || !v.readUpTo(maxOpening) {
		return
	}
	m, err := d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	f := v.openFields(m)
	in, p := f.asked(v)
	if p != nil {
		f.Problem = p
		v.openPage(http.StatusUnprocessableEntity, f)
		return
	}
	in.DryRun = true
	would, err := v.api.OpenRelease(v.r.Context(), in)
	if err != nil {
		v.openPage(f.blame(v, err), f)
		return
	}
	name := f.Name
	if would.Release != nil {
		name = would.Release.Name
	}
	if f.Name != "" && f.Name != name {
		f.Problem = &problem{Title: v.t("open.othername", name, f.Name)}
		v.openPage(http.StatusUnprocessableEntity, f)
		return
	}
	if r, known := m.releaseOf(name); known && r.Phase != "Settled" && r.Phase != "Aborted" {
		f.Replaces = &r
	}
	switch {
	case v.form("check") != "":
		f.Would = &would
		v.openPage(http.StatusOK, f)
		return
	case f.Replaces != nil && v.form("replace") == "":
		f.Would = &would
		v.openPage(http.StatusConflict, f)
		return
	}
	in.DryRun = false
	done, err := v.api.OpenRelease(v.r.Context(), in)
	switch {
	case err != nil:
		v.openPage(f.blame(v, err), f)
	case done.Release == nil: // it will be there when its versions are
		v.see("/")
	default:
		v.see("/releases/" + name)
	}
}

// openFields is the form as it was filled in.
func (v *visit) openFields(m *moment) openForm {
	typed := map[string]string{}
	for field := range v.r.PostForm {
		if service, is := strings.CutPrefix(field, setPrefix); is {
			typed[service] = v.form(field)
		}
	}
	return openForm{
		Name: v.form("name"), Reason: v.form("reason"), Versions: versionFields(m, typed),
		// As it was typed, so that lines and columns are those of the field.
		Document: strings.TrimRight(strings.ReplaceAll(v.r.PostFormValue("document"), "\r\n", "\n"), " \t\n"),
	}
}

// asked is what the form asks of the API, or what is missing.
func (f openForm) asked(v *visit) (client.Open, *problem) {
	in := client.Open{Asked: client.Asked{Reason: f.Reason}}
	for _, field := range f.Versions {
		if field.Value != "" {
			in.Document.Sets = append(in.Document.Sets, field.Service+"="+field.Value)
		}
	}
	switch {
	case f.Document != "" && len(in.Document.Sets) > 0:
		return in, &problem{Title: v.t("open.both")}
	case f.Document != "":
		in.Document.Name, in.Document.Data = v.t("open.document"), f.Document
	case len(in.Document.Sets) == 0:
		return in, &problem{Title: v.t("open.nothing")}
	case f.Name == "":
		return in, &problem{Title: v.t("open.noname")}
	default:
		in.Document.Name = f.Name
	}
	return in, nil
}

// blame puts what the API says is wrong where it was typed, and returns the
// status.
func (f *openForm) blame(v *visit, err error) int {
	status, p := v.problemOf(err)
	f.Problem = &p
	var e *client.Error
	if !errors.As(err, &e) {
		return status
	}
	p.More = nil
	if len(e.Errors) > 0 {
		p.Detail = v.t("open.below")
	}
	for _, one := range e.Errors {
		set, isSet := strings.CutPrefix(one.File, "--set ")
		service, _, _ := strings.Cut(set, "=")
		i := slices.IndexFunc(f.Versions, func(field versionField) bool { return isSet && field.Service == service })
		switch {
		case i >= 0:
			f.Versions[i].Wrong = append(f.Versions[i].Wrong, one)
		case f.Document != "":
			f.DocumentWrong = append(f.DocumentWrong, one)
		default:
			f.NameWrong = append(f.NameWrong, one)
		}
	}
	return status
}
