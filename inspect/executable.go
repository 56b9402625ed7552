package inspect

import (
	"encoding/binary"
	"fmt"
)

// The functions of this file look at the bytes from a magic number on, up to
// sweepWindow of them, and say whether a program's header follows whose fields
// can be. They ask for what an operating system's loader asks for, no more: a
// field that the loader ignores may hold anything, since attackers use that.
// A header is accepted on 60 matching bits or more, so that image data cannot
// pass by chance.

// portableExecutable validates a PE header at its signature "PE\0\0"
// (Microsoft PE/COFF §3.3, §3.4). The MZ header that points here may lie in
// another piece, or be gone; the program is here.
func portableExecutable(w []byte) (string, bool) {
	if len(w) < 26 {
		return "", false
	}
	le := binary.LittleEndian
	machine, sections := le.Uint16(w[4:]), le.Uint16(w[6:])
	characteristics, magic := le.Uint16(w[22:]), le.Uint16(w[24:])
	name, known := peMachines[machine]
	const executableImage = 0x0002
	if !known || sections > 96 || characteristics&executableImage == 0 {
		return "", false
	}
	if magic != 0x010B && magic != 0x020B && magic != 0x0107 { // PE32, PE32+, ROM
		return "", false
	}
	return fmt.Sprintf("PE header, %s, %d sections", name, sections), true
}

var peMachines = map[uint16]string{
	0x014C: "x86", 0x8664: "x86-64", 0x01C0: "ARM", 0x01C2: "Thumb", 0x01C4: "ARMv7", 0xAA64: "ARM64",
	0x0200: "Itanium", 0x0EBC: "EFI byte code", 0x0166: "MIPS R4000", 0x0169: "MIPS WCE", 0x0266: "MIPS16",
	0x0366: "MIPS FPU", 0x0466: "MIPS16 FPU", 0x01F0: "PowerPC", 0x01F1: "PowerPC FPU", 0x01A2: "SH3",
	0x01A3: "SH3 DSP", 0x01A6: "SH4", 0x01A8: "SH5", 0x0184: "Alpha", 0x0284: "Alpha64",
	0x5032: "RISC-V 32", 0x5064: "RISC-V 64", 0x6232: "LoongArch 32", 0x6264: "LoongArch 64",
}

// peOffset returns where an MZ header says that the PE header lies.
func peOffset(w []byte) (int64, bool) {
	const lfanew, limit = 0x3C, 1 << 28 // Windows refuses 256 MiB and more
	if len(w) < lfanew+4 || w[0] != 'M' || w[1] != 'Z' {
		return 0, false
	}
	at := int64(binary.LittleEndian.Uint32(w[lfanew:]))
	return at, at >= 4 && at < limit
}

// dosExecutable validates an MZ header as DOS reads it, which NE and LE
// programs have too. Its fields are few, so it is asked for at the start of a
// piece only. size is the piece's length, or negative when it is not known.
func dosExecutable(w []byte, size int64) (string, bool) {
	if len(w) < 28 || w[0] != 'M' || w[1] != 'Z' {
		return "", false
	}
	field := func(i int) int64 { return int64(binary.LittleEndian.Uint16(w[i:])) }
	lastPage, pages, relocations, paragraphs := field(2), field(4), field(6), field(8)
	minimum, maximum, table := field(10), field(12), field(24)
	image := pages*512 - lastPage
	if lastPage != 0 {
		image = (pages-1)*512 + lastPage
	}
	header := paragraphs * 16
	switch {
	case lastPage > 511, pages == 0, header < 32, image <= header:
		return "", false
	case minimum > maximum, field(20) >= image: // memory asked for; the first instruction
		return "", false
	case table < 28 || table+4*relocations > header:
		return "", false
	case size >= 0 && image > size+511:
		return "", false
	}
	return "DOS program header", true
}

// elf validates an ELF header. Linux looks at the magic, e_type, e_machine and
// e_phentsize and at nothing else of e_ident, so neither does this.
func elf(w []byte) (string, bool) {
	if len(w) < 52 {
		return "", false
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		machine, known := elfMachines[order.Uint16(w[18:])]
		if !known {
			continue
		}
		for _, class := range elfClasses {
			if len(w) >= class.header && class.fits(w, order) {
				return fmt.Sprintf("ELF header, %d-bit %s", class.bits, machine), true
			}
		}
	}
	return "", false
}

type elfClass struct {
	bits, header, ehsize, phentsize, shentsize int // header size; offsets of fields
	phdr, shdr                                 uint16
}

var elfClasses = []elfClass{
	{64, 64, 52, 54, 58, 56, 64},
	{32, 52, 40, 42, 46, 32, 40},
}

// fits reports whether the sizes of header, segments and sections are those of
// the class: segments for programs and libraries, sections for object files.
func (c elfClass) fits(w []byte, order binary.ByteOrder) bool {
	const relocatable, executable, shared = 1, 2, 3
	switch order.Uint16(w[16:]) {
	case executable, shared:
		return order.Uint16(w[c.phentsize:]) == c.phdr
	case relocatable:
		return order.Uint16(w[c.ehsize:]) == uint16(c.header) && order.Uint16(w[c.shentsize:]) == c.shdr
	}
	return false
}

var elfMachines = map[uint16]string{
	2: "SPARC", 3: "x86", 4: "68000", 8: "MIPS", 10: "MIPS", 15: "PA-RISC", 18: "SPARC", 20: "PowerPC", 21: "PowerPC",
	22: "S/390", 40: "ARM", 42: "SH", 43: "SPARC V9", 50: "Itanium", 62: "x86-64", 183: "ARM64", 0x9026: "Alpha",
	243: "RISC-V", 247: "BPF", 258: "LoongArch",
}

// machO validates a Mach-O header of either word size and byte order
// (mach-o/loader.h): a known processor, a known file type, load commands that
// fit the size given for them.
func machO(w []byte) (string, bool) {
	if len(w) < 28 {
		return "", false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if w[0] == 0xFE {
		order = binary.BigEndian
	}
	processor, known := machProcessors[order.Uint32(w[4:])]
	fileType, commands, size := order.Uint32(w[12:]), order.Uint32(w[16:]), order.Uint32(w[20:])
	if !known || fileType == 0 || fileType > 12 || commands == 0 || commands > 1<<14 {
		return "", false
	}
	if size < 8*commands || size > 1<<24 {
		return "", false
	}
	return fmt.Sprintf("Mach-O header, %s, %d load commands", processor, commands), true
}

var machProcessors = map[uint32]string{
	6: "68000", 7: "x86", 0x01000007: "x86-64", 10: "68000", 11: "PA-RISC", 12: "ARM", 0x0100000C: "ARM64",
	0x0200000C: "ARM64/32", 14: "SPARC", 18: "PowerPC", 0x01000012: "PowerPC 64",
}

// cafeBabe validates what begins CAFEBABE or CAFEBABF: a Mach-O file for
// several processors (mach-o/fat.h), or a Java class (JVMS §4.1).
func cafeBabe(w []byte) (string, bool) {
	be := binary.BigEndian
	if len(w) < 28 {
		return "", false
	}
	if n := be.Uint32(w[4:]); n >= 1 && n <= 42 {
		processor, known := machProcessors[be.Uint32(w[8:])]
		return fmt.Sprintf("Mach-O for %d processors, %s first", n, processor), known
	}
	minor, major, constants, tag := be.Uint16(w[4:]), be.Uint16(w[6:]), be.Uint16(w[8:]), w[10]
	preview := minor == 0xFFFF
	if w[3] != 0xBE || major < 45 || major > 80 || (minor > 3 && !preview) || constants < 2 {
		return "", false
	}
	if tag == 0 || tag == 2 || tag == 13 || tag == 14 || tag > 20 { // JVMS table 4.4-A
		return "", false
	}
	return fmt.Sprintf("Java class file, version %d", major), true
}

// shellLink recognises a Windows shortcut (MS-SHLLINK §2.1): its header size
// and class identifier are 20 fixed bytes.
func shellLink(w []byte) (string, bool) {
	const header = "\x4C\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x46"
	return "Windows shortcut header", len(w) >= len(header) && string(w[:len(header)]) == header
}

// eicar recognises the EICAR test string. It stands here in two parts, so that
// neither source nor program trips a scanner itself.
func eicar(w []byte) (string, bool) {
	const first, second = `X5O!P%@AP[4\PZX54(P^)7CC)7}`, `$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	ok := len(w) >= len(first)+len(second) && string(w[:len(first)]) == first && string(w[len(first):len(first)+len(second)]) == second
	return "EICAR test string", ok
}

// bareMagic names the executable format whose magic number begins w.
func bareMagic(w []byte) (string, bool) {
	for _, m := range executableMagics {
		if len(w) >= len(m.magic) && string(w[:len(m.magic)]) == m.magic {
			return m.format, true
		}
	}
	return "", false
}

var executableMagics = []struct{ magic, format string }{
	{"MZ", "DOS or Windows program"},
	{"ZM", "DOS program"},
	{"\x7FELF", "ELF"},
	{"\xFE\xED\xFA\xCE", "Mach-O"},
	{"\xFE\xED\xFA\xCF", "Mach-O"},
	{"\xCE\xFA\xED\xFE", "Mach-O"},
	{"\xCF\xFA\xED\xFE", "Mach-O"},
	{"\xCA\xFE\xBA\xBE", "Mach-O or Java class"},
	{"\x4C\x00\x00\x00\x01\x14\x02\x00", "Windows shortcut"},
	{"PE\x00\x00", "Windows program"},
	{"#!", "script"},
}
