package compose

import "encoding/binary"

// EICAR returns the harmless string with which anti-virus is tested. It is put
// together here, so that no scanner minds the program itself.
func EICAR() []byte {
	return append([]byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}`), `$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`...)
}

// WindowsProgram returns the headers of an x86-64 Windows program with no
// sections and no code: valid to look at, nothing to run.
func WindowsProgram() []byte {
	b := make([]byte, 512)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3C:], 128)
	copy(b[128:], "PE\x00\x00")
	le.PutUint16(b[132:], 0x8664) // machine
	le.PutUint16(b[148:], 240)    // size of the optional header
	le.PutUint16(b[150:], 0x0022) // executable, large addresses
	le.PutUint16(b[152:], 0x020B) // PE32+
	le.PutUint32(b[184:], 4096)   // section alignment
	le.PutUint32(b[188:], 512)    // file alignment
	return b
}

// LinuxProgram returns the header of an x86-64 Linux program with no segments.
func LinuxProgram() []byte {
	b := make([]byte, 128)
	le := binary.LittleEndian
	copy(b, "\x7FELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // executable
	le.PutUint16(b[18:], 62) // x86-64
	le.PutUint32(b[20:], 1)  // version
	le.PutUint64(b[32:], 64) // program headers
	le.PutUint16(b[52:], 64) // size of this header
	le.PutUint16(b[54:], 56) // size of a program header
	return b
}

// MacProgram returns the header of an ARM64 macOS program with one empty load command.
func MacProgram() []byte {
	b := make([]byte, 128)
	le := binary.LittleEndian
	copy(b, "\xCF\xFA\xED\xFE")
	le.PutUint32(b[4:], 0x0100000C) // ARM64
	le.PutUint32(b[12:], 2)         // executable
	le.PutUint32(b[16:], 1)         // load commands
	le.PutUint32(b[20:], 16)        // their size
	le.PutUint32(b[32:], 0x32)      // LC_BUILD_VERSION
	le.PutUint32(b[36:], 16)
	return b
}

// Shortcut returns the header of a Windows shortcut that points at nothing.
func Shortcut() []byte {
	b := make([]byte, 80)
	copy(b, "\x4C\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x46")
	return b
}

// ShellScript returns a script that says it is harmless.
func ShellScript() []byte { return []byte("#!/bin/sh\necho this is a drill\n") }
