package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxValues bounds the keys that are told apart on the ledger; of a longer
// configuration only the sections are.
const maxValues = 500

// values is what the file says, as text, by section and key
// ("gateway.ae_title"), and by name for elements of lists ("devices.ct-1").
func (d *document) values() map[string]string {
	all := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(d.places)) {
		if _, ok := d.places[path].(ast.ScalarNode); ok {
			key := d.group(path)
			all[key] += path[strings.LastIndexByte(path, '.')+1:] + "=" + d.places[path].String() + "\n"
		}
	}
	if len(all) <= maxValues {
		return all
	}
	sections := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		section, _, _ := strings.Cut(key, ".")
		sections[section] += all[key]
	}
	return sections
}

// group is the key under which a place is counted.
func (d *document) group(path string) string {
	first, rest, _ := strings.Cut(path, ".")
	section, _, list := strings.Cut(first, "[")
	if list {
		if name, ok := d.places[first+".name"].(*ast.StringNode); ok {
			return section + "." + name.Value
		}
		return first
	}
	key, _, _ := strings.Cut(rest, ".")
	key, _, _ = strings.Cut(key, "[")
	if key == "" {
		return section
	}
	return section + "." + key
}

// recordConfig puts on the ledger with which configuration this run begins, and
// which keys have changed since the last one. Values may be secret: only keyed
// digests of them are written.
func (d *daemon) recordConfig(ctx context.Context) error {
	now := map[string]string{}
	for key, value := range d.config.Values {
		now[key] = d.parts.ledger.Digest(value)
	}
	body := map[string]any{"sha256": d.config.Digest, "version": version, "values": now}
	last, ok, err := d.parts.ledger.Latest(ctx, "config.applied")
	if err != nil {
		return err
	}
	var before struct{ Values map[string]string }
	if ok && last.Body != nil {
		if err := json.Unmarshal(last.Body, &before); err != nil {
			return err
		}
		body["changed"] = changed(before.Values, now)
	}
	return d.parts.ledger.Record(ctx, "config.applied", body)
}

// changed lists the keys that differ, come or go.
func changed(before, now map[string]string) []string {
	out := []string{}
	for key, value := range now {
		if before[key] != value {
			out = append(out, key)
		}
	}
	for key := range before {
		if _, ok := now[key]; !ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
