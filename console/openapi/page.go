package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document is what a page shows of a description.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas map[string]schema
	}
}

type operation struct {
	Summary    string
	Tags       []string
	Permission string `json:"x-permission"`
	Fresh      bool   `json:"x-fresh"`
	Parameters []struct {
		Name, In, Description string
	}
	RequestBody struct {
		Content map[string]content
	}
	Responses map[string]struct {
		Content map[string]content
	}
}

type content struct {
	Schema  schema
	Example json.RawMessage
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a string, or several
	Format      string
	Description string
	Items       *schema
	Properties  map[string]schema
	Required    []string
	Values      json.RawMessage `json:"additionalProperties"` // of a map; false of a request
	Enum        []any
}

// Page is a description as a page in Markdown.
func Page(text []byte) ([]byte, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	byTag := map[string][]string{}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range []string{"get", "put", "post", "patch", "delete"} {
			if op, ok := d.Paths[path][method]; ok {
				byTag[op.Tags[0]] = append(byTag[op.Tags[0]], op.markdown(strings.ToUpper(method), path))
			}
		}
	}
	for _, t := range slices.Sorted(maps.Keys(byTag)) {
		fmt.Fprintf(&out, "### %s\n\n%s", t, strings.Join(byTag[t], ""))
	}
	out.WriteString("## Types\n\nA key that is optional may be left out: then it is nothing, 0 or false.\n\n")
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		d.Components.Schemas[name].markdown(&out, name)
	}
	return out.Bytes(), nil
}

func (op operation) markdown(method, path string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "**`%s %s`** — %s.\n", method, path, op.Summary)
	var facts []string
	if op.Permission != "" {
		facts = append(facts, "permission `"+op.Permission+"`")
	}
	if op.Fresh {
		facts = append(facts, "whoever asks signed in, or said again who they are, in the last five minutes")
	}
	for media, c := range op.RequestBody.Content {
		if media == "application/json" {
			facts = append(facts, "takes "+c.Schema.name())
		} else {
			facts = append(facts, "takes `"+media+"`")
		}
	}
	for media, c := range op.Responses["200"].Content {
		switch {
		case media == "application/x-ndjson":
			facts = append(facts, "answers any number of "+c.Schema.name()+", one a line")
		case media == "application/json" && c.Schema.name() != "object":
			facts = append(facts, "answers "+c.Schema.name())
		case media != "application/json":
			facts = append(facts, "answers `"+media+"`")
		}
	}
	if len(facts) > 0 {
		text := strings.Join(facts, "; ")
		fmt.Fprintf(&out, "%s%s.\n", strings.ToUpper(text[:1]), text[1:])
	}
	for _, p := range op.Parameters {
		if p.In == "query" {
			fmt.Fprintf(&out, "`?%s` %s.\n", p.Name, p.Description)
		}
	}
	if c := op.RequestBody.Content["application/json"]; c.Example != nil {
		var compact bytes.Buffer
		if json.Compact(&compact, c.Example) == nil {
			fmt.Fprintf(&out, "Example: `%s`\n", compact.String())
		}
	}
	return out.String() + "\n"
}

// name is how a page calls a type.
func (s schema) name() string {
	base := ""
	switch t := s.Type.(type) {
	case string:
		base = t
	case []any:
		base = fmt.Sprint(t[slices.IndexFunc(t, func(one any) bool { return one != "null" })])
	}
	var values schema
	switch {
	case s.Ref != "":
		name := strings.TrimPrefix(s.Ref, components)
		return "[" + name + "](#" + strings.ToLower(name) + ")"
	case base == "array" && s.Items != nil:
		return "list of " + s.Items.name()
	case base == "object" && json.Unmarshal(s.Values, &values) == nil && values.name() != "":
		return "map to " + values.name()
	case base == "string" && s.Format == "date-time":
		return "time"
	}
	return base
}

func (s schema) markdown(out *bytes.Buffer, name string) {
	fmt.Fprintf(out, "### %s\n\n", name)
	if s.Description != "" {
		fmt.Fprintf(out, "%s\n\n", s.Description)
	}
	if len(s.Properties) == 0 {
		fmt.Fprintf(out, "%s\n\n", s.name())
		return
	}
	out.WriteString("| key | type | |\n|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		name := p.name()
		if !slices.Contains(s.Required, key) {
			name += ", optional"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", key, name, strings.ReplaceAll(p.Description, "|", "\\|"))
	}
	out.WriteString("\n")
}
