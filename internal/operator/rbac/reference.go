package rbac

import (
	"fmt"
	"strings"
)

// The lines between which docs/kubernetes.md holds the table.
const (
	tableBegins = "<!-- Generated from internal/operator/rbac by go generate; change that instead. -->\n"
	tableEnds   = "<!-- End of what is generated. -->\n"
)

// Table is the rules as a table in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| where | what | verbs | why |\n|-|-|-|-|\n")
	for _, r := range Rules() {
		what := "`" + strings.Join(r.Resources, "`, `") + "`"
		if r.Group != "" {
			what += " of " + r.Group
		}
		if len(r.Names) > 0 {
			what += " (only `" + strings.Join(r.Names, "`, `") + "`)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.Scope, what, strings.Join(r.Verbs, ", "), r.Reason)
	}
	return b.String()
}

// String names a scope for people.
func (s Scope) String() string {
	return [...]string{"everywhere", "fleets and gateways", "its own namespace"}[s]
}

// within returns a page with the table in its place; false where the page does
// not say where that is.
func within(page, table string) (string, bool) {
	before, rest, begins := strings.Cut(page, tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	return before + tableBegins + "\n" + table + "\n" + tableEnds + after, begins && ends
}
