package device

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"cordon/asset"
	"cordon/console/answer"
)

// column is one of a table of devices: how it is headed, and what it stands for.
type column struct {
	name string
	get  func(asset.Inventory) string
	set  func(*asset.Inventory, string)
}

// nameColumn names the device of a row.
const nameColumn = "name"

// columns are those after the name, in the order of an export. docs/devices.md shows
// them.
var columns = [...]column{
	{"owner", func(v asset.Inventory) string { return v.Owner }, func(v *asset.Inventory, s string) { v.Owner = s }},
	{"vendor", func(v asset.Inventory) string { return v.Vendor }, func(v *asset.Inventory, s string) { v.Vendor = s }},
	{"model", func(v asset.Inventory) string { return v.Model }, func(v *asset.Inventory, s string) { v.Model = s }},
	{"modality", func(v asset.Inventory) string { return v.Modality }, func(v *asset.Inventory, s string) { v.Modality = s }},
	{"serial", func(v asset.Inventory) string { return v.Serial }, func(v *asset.Inventory, s string) { v.Serial = s }},
	{"location", func(v asset.Inventory) string { return v.Location }, func(v *asset.Inventory, s string) { v.Location = s }},
	{"criticality", func(v asset.Inventory) string { return string(v.Criticality) }, func(v *asset.Inventory, s string) { v.Criticality = asset.Criticality(s) }},
	{"os", func(v asset.Inventory) string { return v.OS }, func(v *asset.Inventory, s string) { v.OS = s }},
	{"software", func(v asset.Inventory) string { return strings.Join(v.Software, "; ") }, func(v *asset.Inventory, s string) { v.Software = listed(s) }},
	{"zone", func(v asset.Inventory) string { return v.Zone }, func(v *asset.Inventory, s string) { v.Zone = s }},
	{"vendor_access", func(v asset.Inventory) string { return v.VendorAccess }, func(v *asset.Inventory, s string) { v.VendorAccess = s }},
	{"antivirus", func(v asset.Inventory) string { return v.Antivirus }, func(v *asset.Inventory, s string) { v.Antivirus = s }},
	{"note", func(v asset.Inventory) string { return v.Note }, func(v *asset.Inventory, s string) { v.Note = s }},
}

// listed reads a list that semicolons separate.
func listed(text string) (all []string) {
	for _, part := range strings.Split(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

const (
	maxCSV  = 2 << 20 // bytes
	maxRows = 10_000
)

// nothing is what a cell says to make its field empty; an empty cell leaves the
// field as it is.
const nothing = "-"

// Fault is what is wrong with a file, and where.
type Fault struct {
	Line   int    `json:"line"`
	Column int    `json:"column"` // from 1, in characters; 0: the whole line
	Says   string `json:"says"`
}

func (f Fault) Error() string { return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Says) }

// sheet is a table that was read.
type sheet struct {
	rows   []sheetRow
	faults []Fault
}

// sheetRow is what one row says of a device.
type sheetRow struct {
	line  int
	name  string
	cells map[*column]cell
}

type cell struct {
	text   string
	column int
}

// readSheet reads a table of devices: CSV (RFC 4180) in UTF-8, the columns in any
// order under their names, separated by commas, semicolons or tabs.
func readSheet(text []byte) sheet {
	var s sheet
	if len(text) > maxCSV {
		s.fault(1, 0, "the file has %d bytes: at most %d", len(text), maxCSV)
		return s
	}
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	if s.encoding(text); len(s.faults) > 0 {
		return s
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = separator(text), -1, true
	head, ok := s.head(r)
	if !ok {
		return s
	}
	s.body(r, head)
	return s
}

// encoding finds what is not text in UTF-8.
func (s *sheet) encoding(text []byte) {
	if len(bytes.TrimSpace(text)) == 0 {
		s.fault(1, 0, "the file is empty: the first line names the columns, the first of which is %q", nameColumn)
		return
	}
	if bytes.HasPrefix(text, []byte{0xFF, 0xFE}) || bytes.HasPrefix(text, []byte{0xFE, 0xFF}) {
		s.fault(1, 1, "the file is in UTF-16: save it as \"CSV UTF-8\"")
		return
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		switch at := bytes.IndexByte(line, 0); {
		case !utf8.Valid(line):
			s.fault(i+1, invalidAt(line), "not UTF-8: save the file as \"CSV UTF-8\"")
			return
		case at >= 0:
			s.fault(i+1, at+1, "a zero byte: this is no text")
			return
		}
	}
}

// invalidAt is the column of the first byte that is not UTF-8.
func invalidAt(line []byte) int {
	column := 1
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		if r == utf8.RuneError && n <= 1 {
			break
		}
		line, column = line[n:], column+1
	}
	return column
}

// separator is what separates the columns of the first line.
func separator(text []byte) rune {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	best, most := ',', bytes.Count(first, []byte(","))
	for _, r := range ";\t" {
		if n := bytes.Count(first, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

// head reads the names of the columns; a nil entry is the device's name.
func (s *sheet) head(r *csv.Reader) (head []*column, ok bool) {
	names, err := r.Read()
	if err != nil {
		s.broken(err)
		return nil, false
	}
	named := false
	for i, text := range names {
		_, at := r.FieldPos(i)
		name := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), " ", "_"))
		if name == nameColumn && !named {
			named = true
			head = append(head, nil)
			continue
		}
		n := slices.IndexFunc(columns[:], func(c column) bool { return c.name == name })
		if n < 0 || slices.Contains(head, &columns[max(0, n)]) {
			s.fault(1, at, "column %.40q: expected %s, and %s, each once", text, nameColumn, strings.Join(columnNames(), ", "))
			continue
		}
		head = append(head, &columns[n])
	}
	if !named {
		s.fault(1, 1, "no column %q: it says which device a line is about", nameColumn)
	}
	return head, len(s.faults) == 0
}

func columnNames() (all []string) {
	for _, c := range columns {
		all = append(all, c.name)
	}
	return all
}

// body reads the rows. Lines that are empty are passed over.
func (s *sheet) body(r *csv.Reader, head []*column) {
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) || len(s.faults) >= maxFaults {
			return
		}
		if err != nil {
			s.broken(err)
			return
		}
		line, _ := r.FieldPos(0)
		if len(s.rows) == maxRows {
			s.fault(line, 0, "more than %d devices: import them in parts", maxRows)
			return
		}
		if len(fields) > len(head) {
			s.fault(line, columnOf(r, len(head)), "%d cells, and %d columns are named: is a text with a separator in it in quotation marks?", len(fields), len(head))
			continue
		}
		if row, ok := s.row(r, head, fields); ok {
			if before, twice := seen[row.name]; twice {
				s.fault(line, 1, "%.80q is on line %d already", row.name, before)
				continue
			}
			seen[row.name] = line
			s.rows = append(s.rows, row)
		}
	}
}

func columnOf(r *csv.Reader, i int) int {
	_, at := r.FieldPos(i)
	return at
}

// row reads the cells of a line.
func (s *sheet) row(r *csv.Reader, head []*column, fields []string) (row sheetRow, ok bool) {
	line, _ := r.FieldPos(0)
	row = sheetRow{line: line, cells: map[*column]cell{}}
	for i, text := range fields {
		text = unescaped(strings.TrimSpace(text))
		if head[i] == nil {
			row.name = text
		} else if text != "" {
			row.cells[head[i]] = cell{text, columnOf(r, i)}
		}
	}
	if row.name == "" && len(row.cells) > 0 {
		s.fault(line, 1, "no name: which device is this line about?")
	}
	return row, row.name != ""
}

// maxFaults is how many are told at most.
const maxFaults = 100

func (s *sheet) fault(line, column int, says string, args ...any) {
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, Fault{line, column, fmt.Sprintf(says, args...)})
	}
}

// broken says what is wrong with a file that is no CSV.
func (s *sheet) broken(err error) {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		s.fault(parse.Line, parse.Column, "%v: are quotation marks closed, and doubled inside a text?", parse.Err)
		return
	}
	s.fault(1, 0, "%v", err)
}

// Formulas begin with one of these where a spreadsheet opens a file.
const formula = "=+-@\t\r"

// escaped is a cell that no spreadsheet takes for a formula.
func escaped(text string) string {
	if text != "" && strings.Contains(formula, text[:1]) {
		return "'" + text
	}
	return text
}

// unescaped takes back what escaped did.
func unescaped(text string) string {
	if rest, ok := strings.CutPrefix(text, "'"); ok && rest != "" && strings.Contains(formula, rest[:1]) {
		return rest
	}
	return text
}

// writeSheet writes a table of devices.
func writeSheet(w io.Writer, all []asset.Described) error {
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{nameColumn}, columnNames()...)); err != nil {
		return err
	}
	for _, d := range all {
		row := []string{escaped(d.Name)}
		for _, c := range columns {
			row = append(row, escaped(c.get(d.Inventory)))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Change is what an import changes of one device.
type Change struct {
	Line   int       `json:"line"`
	Device string    `json:"device"`
	Fields []Altered `json:"fields"`
}

// Altered is one field that is another afterwards.
type Altered struct {
	Name string `json:"name"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

// Import is what a file changes, and what is wrong with it: nothing is changed if
// anything is.
type Import struct {
	Devices int      `json:"devices"` // named in the file
	Changes []Change `json:"changes"` // of those that it changes
	Faults  []Fault  `json:"faults,omitempty"`
	Applied bool     `json:"applied"`

	described []asset.Described
}

// compare says what a table changes of what is known. known names the devices that
// whoever imports may change.
func compare(s sheet, known []string, was map[string]asset.Inventory) Import {
	out := Import{Devices: len(s.rows), Faults: s.faults, Changes: []Change{}}
	for _, row := range s.rows {
		if !slices.Contains(known, row.name) {
			out.Faults = append(out.Faults, Fault{row.line, 1, fmt.Sprintf("%.80q is not in the register: a device is in it once it was seen, or is in the configuration", row.name)})
			continue
		}
		v := was[row.name]
		c := Change{Line: row.line, Device: row.name}
		for i := range columns {
			of := &columns[i]
			cell, given := row.cells[of]
			if !given {
				continue
			}
			before := of.get(v)
			after := cell.text
			if after == nothing {
				after = ""
			}
			if of.set(&v, after); of.get(v) != before {
				c.Fields = append(c.Fields, Altered{of.name, before, of.get(v)})
			}
			var alone asset.Inventory
			if of.set(&alone, after); alone.Check() != nil {
				out.Faults = append(out.Faults, Fault{row.line, cell.column, alone.Check().Error()})
			}
		}
		if len(c.Fields) > 0 && !reflect.DeepEqual(v, was[row.name]) {
			out.Changes = append(out.Changes, c)
			out.described = append(out.described, asset.Described{Name: row.name, Inventory: v})
		}
	}
	slices.SortStableFunc(out.Faults, func(a, b Fault) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return out
}

// errFaults means that a file has faults: the Import names them.
var errFaults = fmt.Errorf("%w: the file has faults, and nothing was changed", answer.ErrRequest)
