package openapi

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cordon/console/answer"
)

// name is what the schema of a type is called: the type's own name, with its
// package's before it unless that is the console, or the name begins with it.
func (b *builder) name(t reflect.Type, _ string) string {
	pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
	pkg = strings.ToUpper(pkg[:1]) + pkg[1:]
	name := pkg + t.Name()
	if pkg == "Console" || pkg == "Answer" || strings.HasPrefix(t.Name(), pkg) {
		name = t.Name()
	}
	if other := b.types[name]; other != nil && other != t {
		b.clash = fmt.Errorf("%s and %s are both called %s", sourceName(other), sourceName(t), name)
	}
	b.types[name] = t
	return name
}

// describe says of a type's schema what its comments say, and which keys it has in
// any case.
func (b *builder) describe(schema map[string]any, t reflect.Type) {
	if text := b.comments[sourceName(t)]; text != "" {
		schema["description"] = text
	}
	properties, _ := schema["properties"].(map[string]any)
	if t.Kind() != reflect.Struct || properties == nil {
		return
	}
	named := reflect.PointerTo(t).Implements(reflect.TypeFor[answer.Named]())
	var required []string
	for _, f := range reflect.VisibleFields(t) {
		key, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		property, ok := properties[key].(map[string]any)
		owner, always := ownerOf(t, f)
		if !ok || owner == nil {
			continue
		}
		if text := cmp.Or(b.comments[sourceName(owner)+"."+f.Name], b.plain(f.Type)); text != "" {
			property["description"] = text
		}
		optional := tagged && strings.Contains(options, "omit") || named && key == "by" // whoever signed in leaves it out
		if always && !optional {
			required = append(required, key)
		}
	}
	if slices.Sort(required); len(required) > 0 {
		schema["required"] = required
	}
}

// ownerOf is the type that a field of t is declared in, which is another where it
// is embedded; nil if it is under a key of its own. Always says that it is there
// whatever t's value.
func ownerOf(t reflect.Type, f reflect.StructField) (owner reflect.Type, always bool) {
	owner, always = t, true
	for _, i := range f.Index[:len(f.Index)-1] {
		embedded := owner.Field(i)
		if embedded.Tag.Get("json") != "" {
			return nil, false
		}
		if owner = embedded.Type; owner.Kind() == reflect.Pointer {
			owner, always = owner.Elem(), false
		}
	}
	return owner, always
}

// plain is what the comment of a type says that has no schema of its own.
func (b *builder) plain(t reflect.Type) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return ""
	}
	return b.comments[sourceName(t)]
}

// sourceName is a type in the source: cordon/alarm.Item.
func sourceName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }
