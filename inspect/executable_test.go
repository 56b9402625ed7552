package inspect

import (
	"encoding/binary"
	"testing"

	"cordon/inspect/compose"
)

func TestHeadersAreValidated(t *testing.T) {
	pe := compose.WindowsProgram()[128:]
	change := func(p []byte, at int, b ...byte) []byte {
		q := append([]byte(nil), p...)
		copy(q[at:], b)
		return q
	}
	fat := make([]byte, 28)
	binary.BigEndian.PutUint32(fat, 0xCAFEBABE)
	binary.BigEndian.PutUint32(fat[4:], 2)
	binary.BigEndian.PutUint32(fat[8:], 0x01000007)
	class := append([]byte{0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 52, 0, 29, 10}, make([]byte, 20)...)
	for _, c := range []struct {
		name  string
		judge func([]byte) (string, bool)
		w     []byte
		want  bool
	}{
		{"PE", portableExecutable, pe, true},
		{"PE, unknown machine", portableExecutable, change(pe, 4, 1, 1), false},
		{"PE, 97 sections", portableExecutable, change(pe, 6, 97, 0), false},
		{"PE, object file", portableExecutable, change(pe, 22, 0x20, 0), false},
		{"PE, no optional header", portableExecutable, change(pe, 24, 0, 0), false},
		{"PE, cut off", portableExecutable, pe[:25], false},
		{"ELF", elf, compose.LinuxProgram(), true},
		{"ELF, rubbish in e_ident as the kernel allows", elf, change(compose.LinuxProgram(), 4, 9, 9, 9, 9, 9), true},
		{"ELF, unknown machine", elf, change(compose.LinuxProgram(), 18, 0xFF, 0xFF), false},
		{"ELF, no type", elf, change(compose.LinuxProgram(), 16, 0, 0), false},
		{"ELF, size of program headers", elf, change(compose.LinuxProgram(), 54, 55), false},
		{"Mach-O", machO, compose.MacProgram(), true},
		{"Mach-O, unknown processor", machO, change(compose.MacProgram(), 4, 99), false},
		{"Mach-O, no commands", machO, change(compose.MacProgram(), 16, 0), false},
		{"fat Mach-O", cafeBabe, fat, true},
		{"fat Mach-O, unknown processor", cafeBabe, change(fat, 8, 99), false},
		{"class", cafeBabe, class, true},
		{"class, version 1", cafeBabe, change(class, 6, 0, 44), false},
		{"class, constant of no kind", cafeBabe, change(class, 10, 99), false},
		{"shortcut", shellLink, compose.Shortcut(), true},
		{"shortcut, other class", shellLink, change(compose.Shortcut(), 19, 0x47), false},
		{"EICAR", eicar, compose.EICAR(), true},
		{"EICAR, one letter off", eicar, change(compose.EICAR(), 67, '+'), false},
		{"EICAR, cut off", eicar, compose.EICAR()[:67], false},
	} {
		if _, got := c.judge(c.w); got != c.want {
			t.Errorf("%s: judged %v", c.name, got)
		}
	}
}

func TestDOSProgram(t *testing.T) {
	p := make([]byte, 1024)
	le := binary.LittleEndian
	copy(p, "MZ")
	le.PutUint16(p[4:], 2)       // pages
	le.PutUint16(p[8:], 4)       // paragraphs of header
	le.PutUint16(p[12:], 0xFFFF) // memory
	le.PutUint16(p[24:], 64)     // relocations
	if _, ok := dosExecutable(p, int64(len(p))); !ok {
		t.Error("a DOS program passes")
	}
	if _, ok := dosExecutable(p, 100); ok {
		t.Error("a program ten times longer than its piece")
	}
	flat := make([]byte, 1024)
	for i := range flat {
		flat[i] = "MZ"[i%2]
	}
	if _, ok := dosExecutable(flat, 1024); ok {
		t.Error("an image of one grey value")
	}
}

func TestScriptStarts(t *testing.T) {
	for text, want := range map[string]bool{
		"#!/bin/sh\n":                  true,
		"#! /usr/bin/env python3\n":    true,
		"#!\x00\x01\x02\x03":           false,
		"#!/\x01\x02\x03":              false,
		"#1 finding: no change":        false,
		"\xEF\xBB\xBF@Echo Off\r\ndir": true,
		"  <script>alert(1)":           true,
		"<scripture>":                  false,
		"<?xml version=\"1.0\"?>":      false,
		"<html>":                       false,
		"powershell -enc AAAA":         true,
		"Powershelled":                 false,
		"[autorun]\r\nopen=x.exe":      true,
		"set WshShell = CreateObject":  true,
		"set of images":                false,
	} {
		if _, got := script([]byte(text)); got != want {
			t.Errorf("%q: judged %v", text, got)
		}
	}
}
