package config

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// The bounds of a document keep a hostile text from exhausting the parser,
// which recurses with nesting and whose time grows with the square of a map's
// size; no honest document comes near.
const (
	maxTokens  = 150_000
	maxNesting = 64
	maxMarks   = 1000 // anchors, aliases, tags and the like
	maxEntries = 4000 // of one list or map in brackets or braces
)

// excess finds the token at which a text exceeds the bounds and says which; nil
// if it does not.
func excess(tokens token.Tokens) (*token.Token, string) {
	if len(tokens) > maxTokens {
		return tokens[maxTokens], fmt.Sprintf("the document has more than %d words", maxTokens)
	}
	var entries []int // of the lists and maps in brackets and braces that are open
	dashes, marks := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			entries = append(entries, 0)
		case token.MappingEndType, token.SequenceEndType:
			entries = entries[:max(len(entries)-1, 0)]
		case token.CollectEntryType:
			if n := len(entries); n > 0 {
				entries[n-1]++
				if entries[n-1] >= maxEntries {
					return t, fmt.Sprintf("there are more than %d entries", maxEntries)
				}
			}
		case token.AnchorType, token.AliasType, token.TagType, token.MappingKeyType, token.MergeKeyType:
			marks++
		}
		if dashes++; t.Type != token.SequenceEntryType {
			dashes = 0
		}
		if len(entries) > maxNesting || dashes > maxNesting {
			return t, fmt.Sprintf("the document is nested more than %d deep", maxNesting)
		}
		if marks > maxMarks {
			return t, fmt.Sprintf("the document has more than %d anchors, aliases and tags", maxMarks)
		}
	}
	return nil, ""
}
