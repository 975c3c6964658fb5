package dashboard

import (
	"embed"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

//go:embed templates
var templateFiles embed.FS

// readTemplates reads the pages, once for each language.
func (d *Dashboard) readTemplates() (map[string]*template.Template, error) {
	out := map[string]*template.Template{}
	for _, lang := range []string{english, japanese} {
		set, err := template.New("").Funcs(d.functions(lang)).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, err
		}
		out[lang] = set
	}
	return out, nil
}

// functions are what templates call.
func (d *Dashboard) functions(lang string) template.FuncMap {
	return template.FuncMap{
		"t":     func(key string, args ...any) string { return d.words.say(lang, key, args...) },
		"th":    func(key string, args ...any) template.HTML { return d.words.sayHTML(lang, key, args...) },
		"word":  func(group, key string) string { return d.words.say(lang, group+"."+strings.ToLower(key)) },
		"link":  func(parts ...string) string { return d.link(parts...) },
		"asset": func(name string) string { return d.o.Base + "/assets/" + d.assets.paths[name] },
		"clock": func(t time.Time) template.HTML { return shownTime(t, "clock") },
		"date":  func(t time.Time) template.HTML { return shownTime(t, "date") },
		"left":  func(t time.Time) template.HTML { return shownTime(t, "left") },
		"bold":  func(s string) template.HTML { return template.HTML("<b>" + template.HTMLEscapeString(s) + "</b>") },
		"dict":  dict,
		"hash":  func(s template.HTML) string { return fmt.Sprintf("%08x", digest(string(s))) },
		"rate":  rate, "share": share, "millis": millis,
		"told": told,
		"tag":  func(w whose) string { return w.say(d.words, lang) },
		"list": func(s ...string) []string { return s },
		"may":  func(g grants, a string) bool { return g[httpapi.Action(a)] },
		"part": func(name string, data any) (template.HTML, error) { return d.part(lang, name, data) },
		"join": strings.Join, "cluster": func() bool { return d.o.Cluster },
		"fleets": func() string { // where the list of fleets is, for one of several
			if d.o.Scope == d.o.Base {
				return ""
			}
			return d.o.Scope + "/"
		},
	}
}

// part is a part of a page, as its stream will send it.
func (d *Dashboard) part(lang, name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := d.templates[lang].ExecuteTemplate(&b, name, data)
	return template.HTML(b.String()), err
}

// link is an address below the dashboard's own.
func (d *Dashboard) link(parts ...string) string {
	var b strings.Builder
	b.WriteString(d.o.Base)
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	if len(parts) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// shownTime is a time that a script words in the browser's own time zone.
func shownTime(t time.Time, as string) template.HTML {
	if t.IsZero() {
		return ""
	}
	text := t.UTC().Format("15:04 UTC")
	if as == "date" {
		text = t.UTC().Format("2006-01-02 15:04 UTC")
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-show="%s">%s</time>`, t.UTC().Format(time.RFC3339), as, text))
}

// stamped is a moment as the server puts it into the words of an event.
var stamped = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// told is what an event says, with the moments in it as the page shows others.
func told(message string) template.HTML {
	var b strings.Builder
	rest := 0
	for _, at := range stamped.FindAllStringIndex(message, -1) {
		b.WriteString(template.HTMLEscapeString(message[rest:at[0]]))
		moment, err := time.Parse(time.RFC3339, message[at[0]:at[1]])
		if err == nil {
			b.WriteString(string(shownTime(moment, "clock")))
		} else {
			b.WriteString(message[at[0]:at[1]])
		}
		rest = at[1]
	}
	return template.HTML(b.String() + template.HTMLEscapeString(message[rest:]))
}

// dict makes a map of pairs, for a template that needs more than one value.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		out[key] = pairs[i+1]
	}
	return out, nil
}

// rate words requests per second.
func rate(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(math.Round(f), 'f', 0, 64)
}

// share words a share as per cent.
func share(f float64) string {
	switch {
	case f == 0:
		return "0%"
	case f < 0.001:
		return "<0.1%"
	case f < 0.1:
		return strconv.FormatFloat(100*f, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(100*f, 'f', 0, 64) + "%"
}

// millis words seconds.
func millis(f float64) string {
	switch {
	case f == 0:
		return "–"
	case f < 0.01:
		return strconv.FormatFloat(1000*f, 'f', 1, 64) + " ms"
	case f < 1:
		return strconv.FormatFloat(1000*f, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " s"
}

func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
