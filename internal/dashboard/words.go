package dashboard

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed words.json
var wordsJSON []byte

// The languages, in the order of words.json.
const (
	english  = "en"
	japanese = "ja"
)

// words are what the pages say, by key, in English and Japanese.
type words map[string][2]string

func readWords() (words, error) {
	var out words
	if err := json.Unmarshal(wordsJSON, &out); err != nil {
		return nil, fmt.Errorf("read the words: %w", err)
	}
	return out, nil
}

// say returns a text with its arguments. A key that is not there stands for
// itself, so that a page is shown all the same.
func (w words) say(lang, key string, args ...any) string {
	text, ok := w[key]
	if !ok {
		return key
	}
	one := text[0]
	if lang == japanese {
		one = text[1]
	}
	if len(args) == 0 {
		return one
	}
	return fmt.Sprintf(one, args...)
}

// sayHTML is say for texts into which markup is put: arguments that are no
// markup are escaped.
func (w words) sayHTML(lang, key string, args ...any) template.HTML {
	safe := make([]any, len(args))
	for i, a := range args {
		if h, ok := a.(template.HTML); ok {
			safe[i] = string(h)
			continue
		}
		safe[i] = template.HTMLEscapeString(fmt.Sprint(a))
	}
	text, ok := w[key]
	if !ok {
		return template.HTML(template.HTMLEscapeString(key))
	}
	one := text[0]
	if lang == japanese {
		one = text[1]
	}
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(one), safe...))
}

// languageCookie keeps the language that somebody chose.
const languageCookie = "greenroom_language"

// language is the one that a browser asks for: by its cookie, else by what it
// prefers of the two.
func language(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && (c.Value == english || c.Value == japanese) {
		return c.Value
	}
	best, weight := english, 0.0
	for _, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(value, 64) // 0 for what is no number
		}
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if (base == english || base == japanese) && q > weight {
			best, weight = base, q
		}
	}
	return best
}
