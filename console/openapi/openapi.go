// Package openapi writes the description of the console's interface, OpenAPI 3.1,
// from its table of routes and the Go types in it, and the same as a page.
//
// Ordinary use:
//
//	text, err := openapi.Document(version, routes) // GET /api/v1/openapi.json
//	page, err := openapi.Page(text)                // docs/api.md
//
// What a handler reads and writes is described by its types and their comments
// alone, so that the two cannot part: a key that its type never leaves out is
// required, and means what the comment beside its field says. It will not say more
// than that: what a text must look like is in the sentence of whoever refuses it.
package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go/openapi31"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

// problemName is the schema of every answer that is not a success.
const problemName = "Problem"

// builder fills a document.
type builder struct {
	spec      openapi31.Spec
	reflector jsonschema.Reflector
	types     map[string]reflect.Type // by the names of their schemas
	comments  map[string]string
	clash     error // two types of one name
}

// Document is the description of the routes of the API.
func Document(version string, routes []route.Route) ([]byte, error) {
	b := &builder{types: map[string]reflect.Type{}, comments: comments(), spec: openapi31.Spec{
		Openapi: "3.1.0",
		Info: openapi31.Info{
			Title:   "Cordon",
			Version: version,
			Description: ptr("The interface of Cordon's console, for programs and for its own command line. " +
				"On the console's address it asks for an API token (Authorization: Bearer) or a session; at the control socket the operating system guards it. " +
				"Every answer that is not a success is a Problem."),
		},
		Paths: &openapi31.Paths{MapOfPathItemValues: map[string]openapi31.PathItem{}},
		Components: &openapi31.Components{
			Schemas: map[string]map[string]any{},
			SecuritySchemes: map[string]openapi31.SecuritySchemeOrReference{
				"token": {SecurityScheme: (&openapi31.SecurityScheme{Description: ptr("An API token of a person's, with scopes")}).WithHTTPBearer(openapi31.SecuritySchemeHTTPBearer{})},
			},
		},
		Security: []map[string][]string{{"token": {}}},
	}}
	if _, err := b.schema(answer.Problem{}, false); err != nil {
		return nil, err
	}
	for _, r := range routes {
		if !r.API() {
			continue
		}
		if err := b.add(r); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Method, r.Pattern, err)
		}
	}
	return json.MarshalIndent(b.spec, "", "  ")
}

// wildcard is one of a pattern of http.ServeMux.
var wildcard = regexp.MustCompile(`\{([^}.]+)(?:\.\.\.)?\}`)

func (b *builder) add(r route.Route) error {
	op := openapi31.Operation{
		ID:      ptr(operationID(r)),
		Summary: ptr(r.Doc.Summary),
		Tags:    []string{tag(r.Pattern)},
		Responses: &openapi31.Responses{MapOfResponseOrReferenceValues: map[string]openapi31.ResponseOrReference{
			"default": {Response: problem()},
		}},
	}
	op.Responses.Default = &openapi31.ResponseOrReference{Response: problem()}
	delete(op.Responses.MapOfResponseOrReferenceValues, "default")
	op.WithMapOfAnythingItem("x-permission", permission(r.May))
	if r.Fresh {
		op.WithMapOfAnythingItem("x-fresh", true)
	}
	b.parameters(&op, r)
	if err := b.body(&op, r.Doc); err != nil {
		return err
	}
	good, err := b.good(r.Doc)
	if err != nil {
		return err
	}
	op.Responses.MapOfResponseOrReferenceValues[strconv.Itoa(http.StatusOK)] = openapi31.ResponseOrReference{Response: good}
	path := wildcard.ReplaceAllString(r.Pattern, "{$1}")
	item := b.spec.Paths.MapOfPathItemValues[path]
	if err := item.SetOperation(r.Method, &op); err != nil {
		return err
	}
	b.spec.Paths.MapOfPathItemValues[path] = item
	return nil
}

// permission is what a caller must be allowed.
func permission(p people.Permission) string {
	if p == people.Anybody {
		return "anybody"
	}
	return string(p)
}

// operationID is a name for programs: vault.id.release.post.
func operationID(r route.Route) string {
	words := strings.FieldsFunc(strings.TrimPrefix(r.Pattern, "/api/v1/"), func(c rune) bool { return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') })
	return strings.Join(append(words, strings.ToLower(r.Method)), ".")
}

// tag is what groups operations: the first word of their path.
func tag(pattern string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(pattern, "/api/v1/"), "/")
	first, _, _ = strings.Cut(first, ".")
	return first
}

func (b *builder) parameters(op *openapi31.Operation, r route.Route) {
	text := map[string]any{"type": "string"}
	for _, w := range wildcard.FindAllStringSubmatch(r.Pattern, -1) {
		p := openapi31.Parameter{Name: w[1], In: openapi31.ParameterInPath, Required: ptr(true), Schema: text}
		op.Parameters = append(op.Parameters, p.ToParameterOrRef())
	}
	for _, q := range r.Doc.Query {
		p := openapi31.Parameter{Name: q.Name, In: openapi31.ParameterInQuery, Description: ptr(q.Summary), Schema: text}
		if q.Example != "" {
			p.Example = ptr[any](q.Example)
		}
		op.Parameters = append(op.Parameters, p.ToParameterOrRef())
	}
}

// body describes what a request holds.
func (b *builder) body(op *openapi31.Operation, d route.Doc) error {
	var content map[string]openapi31.MediaType
	switch {
	case d.Request != nil:
		schema, err := b.schema(d.Request, true)
		if err != nil {
			return err
		}
		media := openapi31.MediaType{Schema: schema}
		if d.Example != nil {
			media.Example = ptr(d.Example)
		}
		content = map[string]openapi31.MediaType{"application/json": media}
	case d.Form != nil:
		schema, err := b.schema(d.Form, false)
		if err != nil {
			return err
		}
		content = map[string]openapi31.MediaType{"multipart/form-data": {Schema: map[string]any{
			"type":       "object",
			"required":   []string{"object", "file"},
			"properties": map[string]any{"object": schema, "file": map[string]any{"type": "string", "contentMediaType": "application/octet-stream"}},
		}}}
	default:
		return nil
	}
	op.RequestBody = &openapi31.RequestBodyOrReference{RequestBody: &openapi31.RequestBody{Content: content, Required: ptr(true)}}
	return nil
}

// good describes a success.
func (b *builder) good(d route.Doc) (*openapi31.Response, error) {
	if d.Media != "" {
		return &openapi31.Response{Description: "Done", Content: map[string]openapi31.MediaType{d.Media: {}}}, nil
	}
	if d.Response == nil {
		return &openapi31.Response{Description: "Done"}, nil
	}
	schema, err := b.schema(d.Response, false)
	if err != nil {
		return nil, err
	}
	if d.Lines {
		return &openapi31.Response{Description: "Any number of these, one a line", Content: map[string]openapi31.MediaType{"application/x-ndjson": {Schema: schema}}}, nil
	}
	return &openapi31.Response{Description: "Done", Content: map[string]openapi31.MediaType{"application/json": {Schema: schema}}}, nil
}

func problem() *openapi31.Response {
	return &openapi31.Response{Description: "What is wrong, and what to do about it", Content: map[string]openapi31.MediaType{
		"application/json": {Schema: map[string]any{"$ref": components + problemName}},
	}}
}

const components = "#/components/schemas/"

// schema describes a type; of a request, that it may have no unknown keys.
func (b *builder) schema(v any, request bool) (map[string]any, error) {
	if reflect.TypeOf(v).Kind() == reflect.Struct && reflect.TypeOf(v).NumField() == 0 {
		return map[string]any{"type": "object"}, nil
	}
	var collected error
	s, err := b.reflector.Reflect(v, jsonschema.RootRef, jsonschema.DefinitionsPrefix(components),
		jsonschema.InterceptDefName(b.name),
		jsonschema.CollectDefinitions(func(name string, s jsonschema.Schema) {
			m, err := s.ToSchemaOrBool().ToSimpleMap()
			collected = errors.Join(collected, err)
			if known := b.spec.Components.Schemas[name]; m["type"] == "object" && (request || known["additionalProperties"] == false) {
				m["additionalProperties"] = false
			}
			b.describe(m, b.types[name])
			b.spec.Components.Schemas[name] = m
		}))
	if err := errors.Join(err, collected, b.clash); err != nil {
		return nil, err
	}
	return s.ToSchemaOrBool().ToSimpleMap()
}

func ptr[T any](v T) *T { return &v }
