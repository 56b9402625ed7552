package dicom

import "testing"

func TestTag(t *testing.T) {
	for _, c := range []struct {
		tag                           Tag
		text                          string
		private, creator, groupLength bool
	}{
		{NewTag(0x0010, 0x0010), "(0010,0010)", false, false, false},
		{NewTag(0x0009, 0x0010), "(0009,0010)", true, true, false},
		{NewTag(0x0009, 0x00FF), "(0009,00FF)", true, true, false},
		{NewTag(0x0009, 0x1001), "(0009,1001)", true, false, false},
		{NewTag(0x0008, 0x0000), "(0008,0000)", false, false, true},
		{TagItem, "(FFFE,E000)", false, false, false},
	} {
		if got := c.tag.String(); got != c.text {
			t.Errorf("String: %s, want %s", got, c.text)
		}
		if got := string(c.tag.appendTo(nil)); got != c.text {
			t.Errorf("appendTo: %s, want %s", got, c.text)
		}
		if c.tag.IsPrivate() != c.private || c.tag.IsPrivateCreator() != c.creator || c.tag.IsGroupLength() != c.groupLength {
			t.Errorf("%v: private %t, creator %t, group length %t", c.tag, c.tag.IsPrivate(), c.tag.IsPrivateCreator(), c.tag.IsGroupLength())
		}
	}
}

func TestVR(t *testing.T) {
	known, long := 0, 0
	for v := range 1 << 16 {
		vr := VR(v)
		if !vr.IsKnown() {
			if vr.HasLongLength() {
				t.Errorf("%v is not known and has a long length", vr)
			}
			continue
		}
		known++
		if vr.HasLongLength() {
			long++
		}
	}
	if known != 34 || long != 13 { // PS3.5 tables 6.2-1 and 7.1-1
		t.Errorf("%d VRs are known, %d of them long; want 34 and 13", known, long)
	}
	if got := (VR('U')<<8 | 'N').String(); got != "UN" {
		t.Errorf("String: %q", got)
	}
	if got := VR(0x0041).String(); got != "?A" {
		t.Errorf("String: %q", got)
	}
}

func TestUIDValidate(t *testing.T) {
	for _, c := range []struct {
		uid UID
		ok  bool
	}{
		{"1.2.840.10008.1.1", true},
		{"0", true},
		{"2.0.1", true},
		{"1.234567890123456789012345678901234567890123456789012345678901.3", true},   // 64 characters
		{"1.2345678901234567890123456789012345678901234567890123456789012.3", false}, // 65
		{"", false},
		{".1", false},
		{"1.", false},
		{"1..2", false},
		{"1.02", false},
		{"00", false},
		{"1.2 ", false},
		{"1.2\x00", false},
		{"../../etc/passwd", false},
		{"1.2/3", false},
		{"1.2.ä", false},
	} {
		if err := c.uid.Validate(); (err == nil) != c.ok {
			t.Errorf("%q: %v, want ok %t", c.uid, err, c.ok)
		}
	}
	for _, row := range transferSyntaxes {
		if err := row.UID.Validate(); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
	}
	if err := ImplementationClassUID.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTrimUID(t *testing.T) {
	for in, want := range map[string]UID{"1.2.3\x00": "1.2.3", "1.2.3 ": "1.2.3", "1.2": "1.2", "\x00\x00": "", " 1.2": " 1.2"} {
		if got := TrimUID([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParseAETitle(t *testing.T) {
	for _, c := range []struct {
		in   string
		want AETitle
		ok   bool
	}{
		{"CT1", "CT1", true},
		{"  CT 1          ", "CT 1", true},
		{"0123456789ABCDEF", "0123456789ABCDEF", true},
		{"0123456789ABCDEFG", "", false},
		{"", "", false},
		{"                ", "", false},
		{`A\B`, "", false},
		{"A\nB", "", false},
		{"A\x00", "", false},
		{"A\x7F", "", false},
		{"Ä", "", false},
	} {
		got, err := ParseAETitle(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
	}
}
