package metric

import (
	"bufio"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Write writes every metric that has a value in any of ms, in the catalogue's
// order, label sets in the order of their values. A label set that several have
// is the first one's.
func Write(w io.Writer, ms ...*Metrics) error {
	out := text{bufio.NewWriter(w)}
	for id := range end {
		all := map[string]*series{}
		for _, m := range ms {
			if m != nil {
				m.families[id].read(id.Row(), all)
			}
		}
		out.family(id.Row(), all)
	}
	return out.Flush()
}

// read adds the family's series to all, and what is collected now, asked for
// outside of the lock.
func (f *family) read(row Row, all map[string]*series) {
	f.mu.RLock()
	for key, s := range f.series {
		if all[key] == nil {
			all[key] = s
		}
	}
	collect := slices.Clone(f.collect)
	f.mu.RUnlock()
	for _, fn := range collect {
		fn(func(v float64, labels ...string) {
			row.check(row.Kind, labels)
			key := strings.Join(labels, "\xff")
			if all[key] == nil && len(all) < row.limit() {
				s := &series{labels: slices.Clone(labels)}
				s.add(v)
				all[key] = s
			}
		})
	}
}

type text struct{ *bufio.Writer }

// put writes; Flush returns the error.
func (t text) put(parts ...string) {
	for _, p := range parts {
		t.WriteString(p)
	}
}

func (t text) family(row Row, all map[string]*series) {
	if len(all) == 0 {
		return
	}
	t.put("# HELP ", row.Name, " ", helpEscapes.Replace(row.Help), "\n# TYPE ", row.Name, " ", string(row.Kind), "\n")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		all[key].write(t, row)
	}
}

func (s *series) write(out text, row Row) {
	sum := math.Float64frombits(s.value.Load())
	if row.Kind != Histogram {
		out.sample(row.Name, row.Labels, s.labels, sum)
		return
	}
	names := append(slices.Clone(row.Labels), "le")
	count := uint64(0)
	for i := range s.buckets {
		count += s.buckets[i].Load()
		bound := math.Inf(1)
		if i < len(row.Buckets) {
			bound = row.Buckets[i]
		}
		out.sample(row.Name+"_bucket", names, append(slices.Clone(s.labels), number(bound)), float64(count))
	}
	out.sample(row.Name+"_sum", row.Labels, s.labels, sum)
	out.sample(row.Name+"_count", row.Labels, s.labels, float64(count))
}

func (t text) sample(name string, names, values []string, v float64) {
	t.put(name)
	for i := range names {
		open := ","
		if i == 0 {
			open = "{"
		}
		t.put(open, names[i], `="`, labelEscapes.Replace(strings.ToValidUTF8(values[i], "\ufffd")), `"`)
	}
	if len(names) > 0 {
		t.put("}")
	}
	t.put(" ", number(v), "\n")
}

// number is a value as the format has it: +Inf, and no exponent where none is
// needed.
func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

var (
	labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)
