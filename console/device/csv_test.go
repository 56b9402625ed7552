package device

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cordon/asset"
)

var known = []string{"us-1", "ct-1", "=cmd"}

func TestTableSaysWhatItChanges(t *testing.T) {
	was := map[string]asset.Inventory{"us-1": {Vendor: "Acme", Location: "Room 1", Software: []string{"A 1", "B 2"}}}
	for _, c := range []struct{ name, text, want string }{
		{"one field", "name,location\nus-1,Room 2\n", "us-1: location Room 1→Room 2"},
		{"the same", "name,vendor,location\nus-1,Acme,Room 1\n", ""},
		{"an empty cell leaves it", "name,vendor,model\nus-1,,Echo\n", "us-1: model →Echo"},
		{"a minus empties it", "name,vendor\nus-1,-\n", "us-1: vendor Acme→"},
		{"semicolons, a BOM, other order, capitals", "\xEF\xBB\xBFModel;Name\r\nEcho;us-1\r\n", "us-1: model →Echo"},
		{"tabs", "name\tmodel\nus-1\tEcho, 3\n", "us-1: model →Echo, 3"},
		{"quoted", "name,model,note\nus-1,\"Echo \"\"3\"\", new\",\"two\"\n", `us-1: model →Echo "3", new note →two`},
		{"lists", "name,software\nus-1,A 1; C 3\n", "us-1: software A 1; B 2→A 1; C 3"},
		{"short lines, empty lines", "name,vendor,model\n\nct-1\nus-1,,Echo\n\n", "us-1: model →Echo"},
		{"escaped formulas", "name,model\n'=cmd,'=1+1\n", "=cmd: model →=1+1"},
	} {
		got := compare(readSheet([]byte(c.text)), known, was)
		if len(got.Faults) > 0 || changes(got) != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, changes(got), got.Faults, c.want)
		}
	}
}

func changes(i Import) string {
	var out []string
	for _, c := range i.Changes {
		for _, f := range c.Fields {
			out = append(out, fmt.Sprintf("%s %s→%s", f.Name, f.Was, f.Is))
		}
		out = []string{c.Device + ": " + strings.Join(out, " ")}
	}
	return strings.Join(out, "; ")
}

func TestFaultsNameLineAndColumn(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
		says         string
	}{
		{"empty", " \n", 1, 0, "empty"},
		{"no name", "vendor,model\nAcme,Echo\n", 1, 1, `no column "name"`},
		{"unknown column", "name,vendors\nus-1,Acme\n", 1, 6, `column "vendors"`},
		{"twice", "name,vendor,vendor\nus-1,Acme,Acme\n", 1, 13, `"vendor"`},
		{"unknown device", "name,vendor\nus-1,Acme\nmr-9,Acme\n", 3, 1, "not in the register"},
		{"twice the same", "name,vendor\nus-1,Acme\nus-1,Other\n", 3, 1, "line 2 already"},
		{"no device", "name,vendor\n,Acme\n", 2, 1, "which device"},
		{"criticality", "name,vendor,criticality\nus-1,Acme,enormous\n", 2, 11, "low, normal, high or life"},
		{"control", "name,vendor\nus-1,\"a\x1bb\"\n", 2, 6, "control characters"},
		{"long", "name,vendor\nus-1," + strings.Repeat("x", 201) + "\n", 2, 6, "200 bytes"},
		{"too many cells", "name,vendor\nus-1,Acme,Echo\n", 2, 11, "3 cells"},
		{"open quote", "name,vendor\nus-1,\"Acme\n", 2, 12, "quotation marks"},
		{"bare quote", "name,vendor\nus-1,A\"cme\n", 2, 7, "quotation marks"},
		{"Latin-1", "name,vendor\nus-1,M\xfcller\n", 2, 7, "not UTF-8"},
		{"UTF-16", "\xff\xfen\x00", 1, 1, "UTF-16"},
		{"zero byte", "name,vendor\nus-1,\x00\n", 2, 6, "zero byte"},
		{"too long", "name\n" + strings.Repeat("x\n", maxCSV), 1, 0, "at most"},
	} {
		got := compare(readSheet([]byte(c.text)), known, nil)
		if len(got.Faults) == 0 {
			t.Errorf("%s: no fault", c.name)
			continue
		}
		if f := got.Faults[0]; f.Line != c.line || f.Column != c.column || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %v, want line %d column %d %q", c.name, f, c.line, c.column, c.says)
		}
	}
	var many strings.Builder
	many.WriteString("name\n")
	for i := range maxRows + 1 {
		fmt.Fprintf(&many, "d%d\n", i)
	}
	if s := readSheet([]byte(many.String())); len(s.faults) != 1 || !strings.Contains(s.faults[0].Says, "in parts") {
		t.Error(s.faults)
	}
}

// What is taken out comes back as it was, and is no formula in between.
func TestExportIsReadAgain(t *testing.T) {
	all := []asset.Described{
		{Name: "us-1", Inventory: asset.Inventory{Vendor: `=HYPERLINK("http://x")`, Model: "+1", Owner: "@SUM(A1)", Location: "Room 3, left; \"new\"", Software: []string{"A 1", "B 2"}, Criticality: asset.Life, Note: "'quoted"}},
		{Name: "ct-1", Inventory: asset.Inventory{OS: "Windows 2000"}},
	}
	var out bytes.Buffer
	if err := writeSheet(&out, all); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		for _, cell := range strings.Split(line, ",") {
			if cell = strings.Trim(cell, `"`); cell != "" && strings.ContainsAny(cell[:1], "=+@") {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	got := compare(readSheet(out.Bytes()), known, nil)
	if len(got.Faults) > 0 || len(got.described) != 2 {
		t.Fatal(got)
	}
	for i, d := range got.described {
		if fmt.Sprint(d) != fmt.Sprint(all[i]) {
			t.Errorf("%+v, want %+v", d, all[i])
		}
	}
}

// FuzzSheet: whatever comes, no panic, and what is accepted is exported and read as
// the same.
func FuzzSheet(f *testing.F) {
	f.Add([]byte("name,vendor,software\nus-1,Acme,\"A 1; B 2\"\n"))
	f.Add([]byte("name;note\nct-1;'=1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		one := compare(readSheet(text), known, nil)
		if len(one.Faults) > maxFaults+maxRows {
			t.Fatal(len(one.Faults))
		}
		if len(one.Faults) > 0 {
			return
		}
		var out bytes.Buffer
		if err := writeSheet(&out, one.described); err != nil {
			t.Fatal(err)
		}
		two := compare(readSheet(out.Bytes()), known, nil)
		if len(two.Faults) > 0 || fmt.Sprint(two.described) != fmt.Sprint(one.described) {
			t.Fatalf("%v %v\n%v", two.Faults, two.described, one.described)
		}
	})
}
