# SPDX-License-Identifier: GPL-2.0-or-later
"""Every header tag of rpm 4.18, 4.20 and 6.1, and what the profile rpm/v1 does with it.

Source: librpm's include/rpm/rpmtag.h and docs/manual/tags.md for numbers and types, rpmbuild's output for what packages
carry, librpm's installing code for what a tag does. A tag that is not in the table is refused: a later rpm may give it
a meaning. Pure data.
"""

from __future__ import annotations

import enum
import re
from types import MappingProxyType
from typing import Mapping, Pattern, Tuple

from multisig.namedtuples import NamedTuple

NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING = range(10)


class Klass(enum.Enum):
    """What becomes of a tag in the immutable region of a binary package."""

    SIGNED = "signed"
    """Number, type, count and values are part of the manifest as they are."""
    REPLACED = "replaced"
    """A canonical value stands in the manifest for it."""
    ASSERTED = "asserted"
    """Checked, then left out: it follows the compressor, or has only one value."""
    LEFT_OUT = "left out"
    """Cannot change what gets installed; type and count are still checked."""
    REFUSED = "refused"
    """Known, and has no business in a binary package's immutable region."""


class Tag(NamedTuple):
    """One tag.

    ``name`` is librpm's without RPMTAG_ (rpm 4.18's where later ones renamed it). ``types`` are the type numbers that
    it may have, none for a refused tag. ``arity`` is the count it must have: "one"; "any", at least one; else the name
    of a group, whose tags all have the same count: "file" is one for each file, "dir" one for each directory.
    """

    number: int
    name: str
    types: Tuple[int, ...]
    arity: str
    klass: Klass
    why: str


_S, _R, _A, _L = Klass.SIGNED, Klass.REPLACED, Klass.ASSERTED, Klass.LEFT_OUT

# The notation of rpmtag.h.
_TYPES = {"h": INT16, "i": INT32, "l": INT64, "x": BIN, "s": STRING, "s[]": STRING_ARRAY, "s{}": I18NSTRING}

_TABLE: Tuple[Tuple[int, str, str, str, Klass, str], ...] = (
    (63, "HEADERIMMUTABLE", "x", "any", _A, "the region itself; its trailer must span the header"),
    (100, "HEADERI18NTABLE", "s[]|s", "any", _S, "says which language each text is in"),
    (1000, "NAME", "s", "one", _S, "identity; upgrades, dependencies and rules go by it"),
    (1001, "VERSION", "s", "one", _S, "identity; which package is the newer one"),
    (1002, "RELEASE", "s", "one", _S, "identity; which package is the newer one"),
    (1003, "EPOCH", "i", "one", _S, "identity; overrides the version, and absent is not 0"),
    (1004, "SUMMARY", "s{}|s", "any", _S, "what people are told the package is"),
    (1005, "DESCRIPTION", "s{}|s", "any", _S, "what people are told the package is"),
    (1006, "BUILDTIME", "i", "one", _L, "differs with every build"),
    (1007, "BUILDHOST", "s", "one", _L, "differs with every builder"),
    (1009, "SIZE", "i", "one", _S, "the free space that is asked for"),
    (1010, "DISTRIBUTION", "s", "one", _S, "who claims to have made it"),
    (1011, "VENDOR", "s", "one", _S, "who claims to have made it; dnf may refuse to change vendors"),
    (1012, "GIF", "x", "any", _S, "an icon that tools may show"),
    (1013, "XPM", "x", "any", _S, "an icon that tools may show"),
    (1014, "LICENSE", "s", "one", _S, "what people are told of their rights"),
    (1015, "PACKAGER", "s", "one", _S, "who claims to have made it"),
    (1016, "GROUP", "s{}|s", "any", _S, "what people are told the package is"),
    (1020, "URL", "s", "one", _S, "where people are sent"),
    (1021, "OS", "s", "one", _S, "rpm refuses other systems' packages by it"),
    (1022, "ARCH", "s", "one", _S, "identity; rpm refuses other machines' packages by it"),
    (1023, "PREIN", "s", "one", _S, "script"),
    (1024, "POSTIN", "s", "one", _S, "script"),
    (1025, "PREUN", "s", "one", _S, "script"),
    (1026, "POSTUN", "s", "one", _S, "script"),
    (1028, "FILESIZES", "i", "file", _R, "directories have sizes of the builder's file system; 0 for them"),
    (1030, "FILEMODES", "h", "file", _S, "type and permissions, set-user-id included"),
    (1033, "FILERDEVS", "h", "file", _S, "which device a device node is"),
    (1034, "FILEMTIMES", "i", "file", _L, "times of the build"),
    (1035, "FILEDIGESTS", "s[]", "file", _S, "binds each file's content"),
    (1036, "FILELINKTOS", "s[]", "file", _S, "where symbolic links point"),
    (1037, "FILEFLAGS", "i", "file", _S, "ghost, config, noreplace, doc: what rpm installs and keeps"),
    (1039, "FILEUSERNAME", "s[]", "file", _S, "owner"),
    (1040, "FILEGROUPNAME", "s[]", "file", _S, "owner"),
    (1044, "SOURCERPM", "s", "one", _S, "what it was built from; without it rpm takes it for a source package"),
    (1045, "FILEVERIFYFLAGS", "i", "file", _S, "what rpm -V overlooks"),
    (1046, "ARCHIVESIZE", "i", "one", _L, "only a progress bar reads it"),
    (1047, "PROVIDENAME", "s[]", "provide", _S, "dependency"),
    (1048, "REQUIREFLAGS", "i", "require", _R, "as REQUIRENAME, the same places left out"),
    (1049, "REQUIRENAME", "s[]", "require", _R, "without the rpmlib(PayloadIs...) that follows the compressor"),
    (1050, "REQUIREVERSION", "s[]", "require", _R, "as REQUIRENAME, the same places left out"),
    (1053, "CONFLICTFLAGS", "i", "conflict", _S, "dependency"),
    (1054, "CONFLICTNAME", "s[]", "conflict", _S, "dependency"),
    (1055, "CONFLICTVERSION", "s[]", "conflict", _S, "dependency"),
    (1059, "EXCLUDEARCH", "s[]", "any", _S, "some builders leave it in; rpm does not look at it"),
    (1060, "EXCLUDEOS", "s[]", "any", _S, "some builders leave it in; rpm does not look at it"),
    (1061, "EXCLUSIVEARCH", "s[]", "any", _S, "some builders leave it in; rpm does not look at it"),
    (1062, "EXCLUSIVEOS", "s[]", "any", _S, "some builders leave it in; rpm does not look at it"),
    (1064, "RPMVERSION", "s", "one", _L, "the rpm that built it"),
    (1065, "TRIGGERSCRIPTS", "s[]", "triggerscript", _S, "script"),
    (1066, "TRIGGERNAME", "s[]", "trigger", _S, "which package sets the script off"),
    (1067, "TRIGGERVERSION", "s[]", "trigger", _S, "which package sets the script off"),
    (1068, "TRIGGERFLAGS", "i", "trigger", _S, "at which event, and compared how"),
    (1069, "TRIGGERINDEX", "i", "trigger", _S, "which of the scripts it sets off"),
    (1079, "VERIFYSCRIPT", "s", "one", _S, "script"),
    (1080, "CHANGELOGTIME", "i", "changelog", _L, "the change log is trimmed by the builder's macros and clock"),
    (1081, "CHANGELOGNAME", "s[]", "changelog", _L, "the change log is trimmed by the builder's macros and clock"),
    (1082, "CHANGELOGTEXT", "s[]", "changelog", _L, "the change log is trimmed by the builder's macros and clock"),
    (1085, "PREINPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1086, "POSTINPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1087, "PREUNPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1088, "POSTUNPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1090, "OBSOLETENAME", "s[]", "obsolete", _S, "which packages it replaces"),
    (1091, "VERIFYSCRIPTPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1092, "TRIGGERSCRIPTPROG", "s[]", "triggerscript", _S, "interpreter"),
    (1094, "COOKIE", "s", "one", _L, "build host and time"),
    (1095, "FILEDEVICES", "i", "file", _R, "hard-link groups stand in for it"),
    (1096, "FILEINODES", "i", "file", _R, "hard-link groups stand in for it"),
    (1097, "FILELANGS", "s[]", "file", _S, "which files a choice of languages leaves out"),
    (1098, "PREFIXES", "s[]", "any", _S, "which paths may be relocated"),
    (1112, "PROVIDEFLAGS", "i", "provide", _S, "dependency"),
    (1113, "PROVIDEVERSION", "s[]", "provide", _S, "dependency; from rpm 4.19 on it holds users and groups to create"),
    (1114, "OBSOLETEFLAGS", "i", "obsolete", _S, "which packages it replaces"),
    (1115, "OBSOLETEVERSION", "s[]", "obsolete", _S, "which packages it replaces"),
    (1116, "DIRINDEXES", "i", "file", _S, "path"),
    (1117, "BASENAMES", "s[]", "file", _S, "path"),
    (1118, "DIRNAMES", "s[]", "dir", _S, "path"),
    (1122, "OPTFLAGS", "s", "one", _L, "the builder's compiler flags; their effect is in the files"),
    (1123, "DISTURL", "s", "one", _S, "where people are sent"),
    (1124, "PAYLOADFORMAT", "s", "one", _S, "cpio; a delta package says drpm, and is refused"),
    (1125, "PAYLOADCOMPRESSOR", "s", "one", _A, "one of a white list"),
    (1126, "PAYLOADFLAGS", "s", "one", _L, "how hard the compressor tried"),
    (1131, "RHNPLATFORM", "s", "one", _S, "rpm before 4.6 wrote it; nothing reads it"),
    (1132, "PLATFORM", "s", "one", _L, "the builder's configuration; rpm goes by ARCH and OS"),
    (1140, "FILECOLORS", "i", "file", _S, "which of two packages' files wins on multilib systems"),
    (1141, "FILECLASS", "i", "file", _L, "what the builder's libmagic calls the file"),
    (1142, "CLASSDICT", "s[]", "any", _L, "what the builder's libmagic calls the files"),
    (1143, "FILEDEPENDSX", "i", "file", _S, "which dependencies a file brought in"),
    (1144, "FILEDEPENDSN", "i", "file", _S, "which dependencies a file brought in"),
    (1145, "DEPENDSDICT", "i", "any", _S, "which dependencies a file brought in; not moved by the compressor"),
    (1146, "SOURCEPKGID", "x", "any", _L, "MD5 of the source package, which holds build host and time"),
    (1147, "FILECONTEXTS", "s[]", "file", _S, "SELinux contexts; rpm before 4.9 applied them"),
    (1150, "POLICIES", "s[]", "policy", _S, "SELinux policy modules to load"),
    (1151, "PRETRANS", "s", "one", _S, "script"),
    (1152, "POSTTRANS", "s", "one", _S, "script"),
    (1153, "PRETRANSPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1154, "POSTTRANSPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (1155, "DISTTAG", "s", "one", _S, "which distribution it claims to be of"),
    (1156, "OLDSUGGESTSNAME", "s[]", "oldsuggest", _S, "dependency; rpm ignores it, solvers read it"),
    (1157, "OLDSUGGESTSVERSION", "s[]", "oldsuggest", _S, "dependency; rpm ignores it, solvers read it"),
    (1158, "OLDSUGGESTSFLAGS", "i", "oldsuggest", _S, "dependency; rpm ignores it, solvers read it"),
    (1159, "OLDENHANCESNAME", "s[]", "oldenhance", _S, "dependency; rpm ignores it, solvers read it"),
    (1160, "OLDENHANCESVERSION", "s[]", "oldenhance", _S, "dependency; rpm ignores it, solvers read it"),
    (1161, "OLDENHANCESFLAGS", "i", "oldenhance", _S, "dependency; rpm ignores it, solvers read it"),
    (1177, "FILEDIGESTALGOS", "i", "file", _S, "rpm 5's algorithm for each file; FILEDIGESTALGO alone counts"),
    (5008, "LONGFILESIZES", "l", "file", _R, "directories have sizes of the builder's file system; 0 for them"),
    (5009, "LONGSIZE", "l", "one", _S, "the free space that is asked for"),
    (5010, "FILECAPS", "s[]", "file", _S, "capabilities"),
    (5011, "FILEDIGESTALGO", "i", "one", _S, "algorithm of FILEDIGESTS: SHA-256 or better"),
    (5012, "BUGURL", "s", "one", _S, "where people are sent"),
    (5020, "PREINFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5021, "POSTINFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5022, "PREUNFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5023, "POSTUNFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5024, "PRETRANSFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5025, "POSTTRANSFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5026, "VERIFYSCRIPTFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5027, "TRIGGERSCRIPTFLAGS", "i", "triggerscript", _S, "whether rpm expands macros in it"),
    (5030, "POLICYNAMES", "s[]", "policy", _S, "SELinux policy modules to load"),
    (5031, "POLICYTYPES", "s[]", "policytype", _S, "SELinux policy modules to load"),
    (5032, "POLICYTYPESINDEXES", "i", "policytype", _S, "SELinux policy modules to load"),
    (5033, "POLICYFLAGS", "i", "policy", _S, "SELinux policy modules to load"),
    (5034, "VCS", "s", "one", _S, "where the source is said to be"),
    (5035, "ORDERNAME", "s[]", "order", _S, "dependency: the order of a transaction"),
    (5036, "ORDERVERSION", "s[]", "order", _S, "dependency: the order of a transaction"),
    (5037, "ORDERFLAGS", "i", "order", _S, "dependency: the order of a transaction"),
    (5046, "RECOMMENDNAME", "s[]", "recommend", _S, "dependency"),
    (5047, "RECOMMENDVERSION", "s[]", "recommend", _S, "dependency"),
    (5048, "RECOMMENDFLAGS", "i", "recommend", _S, "dependency"),
    (5049, "SUGGESTNAME", "s[]", "suggest", _S, "dependency"),
    (5050, "SUGGESTVERSION", "s[]", "suggest", _S, "dependency"),
    (5051, "SUGGESTFLAGS", "i", "suggest", _S, "dependency"),
    (5052, "SUPPLEMENTNAME", "s[]", "supplement", _S, "dependency"),
    (5053, "SUPPLEMENTVERSION", "s[]", "supplement", _S, "dependency"),
    (5054, "SUPPLEMENTFLAGS", "i", "supplement", _S, "dependency"),
    (5055, "ENHANCENAME", "s[]", "enhance", _S, "dependency"),
    (5056, "ENHANCEVERSION", "s[]", "enhance", _S, "dependency"),
    (5057, "ENHANCEFLAGS", "i", "enhance", _S, "dependency"),
    (5062, "ENCODING", "s", "one", _S, "how texts are to be read: utf-8, if it says anything"),
    (5066, "FILETRIGGERSCRIPTS", "s[]", "filetriggerscript", _S, "script"),
    (5067, "FILETRIGGERSCRIPTPROG", "s[]", "filetriggerscript", _S, "interpreter"),
    (5068, "FILETRIGGERSCRIPTFLAGS", "i", "filetriggerscript", _S, "whether rpm expands macros in it"),
    (5069, "FILETRIGGERNAME", "s[]", "filetrigger", _S, "which paths set the script off"),
    (5070, "FILETRIGGERINDEX", "i", "filetrigger", _S, "which of the scripts they set off"),
    (5071, "FILETRIGGERVERSION", "s[]", "filetrigger", _S, "which paths set the script off"),
    (5072, "FILETRIGGERFLAGS", "i", "filetrigger", _S, "at which event"),
    (5076, "TRANSFILETRIGGERSCRIPTS", "s[]", "transfiletriggerscript", _S, "script"),
    (5077, "TRANSFILETRIGGERSCRIPTPROG", "s[]", "transfiletriggerscript", _S, "interpreter"),
    (5078, "TRANSFILETRIGGERSCRIPTFLAGS", "i", "transfiletriggerscript", _S, "whether rpm expands macros in it"),
    (5079, "TRANSFILETRIGGERNAME", "s[]", "transfiletrigger", _S, "which paths set the script off"),
    (5080, "TRANSFILETRIGGERINDEX", "i", "transfiletrigger", _S, "which of the scripts they set off"),
    (5081, "TRANSFILETRIGGERVERSION", "s[]", "transfiletrigger", _S, "which paths set the script off"),
    (5082, "TRANSFILETRIGGERFLAGS", "i", "transfiletrigger", _S, "at which event"),
    (5084, "FILETRIGGERPRIORITIES", "i", "filetriggerscript", _S, "the order in which scripts run"),
    (5085, "TRANSFILETRIGGERPRIORITIES", "i", "transfiletriggerscript", _S, "the order in which scripts run"),
    (5092, "PAYLOADDIGEST", "s[]", "one", _A, "hex SHA-256; the content is hashed file by file (6.x: PAYLOADSHA256)"),
    (5093, "PAYLOADDIGESTALGO", "i", "one", _A, "8, SHA-256 (6.x: PAYLOADSHA256ALGO)"),
    (5096, "MODULARITYLABEL", "s", "one", _S, "which module stream; dnf filters by it"),
    (5097, "PAYLOADDIGESTALT", "s[]", "one", _L, "rpm does not look at it where PAYLOADDIGEST matches"),
    (5100, "TRANSLATIONURL", "s", "one", _S, "where people are sent"),
    (5101, "UPSTREAMRELEASES", "s", "one", _S, "where people are sent"),
    (5103, "PREUNTRANS", "s", "one", _S, "script"),
    (5104, "POSTUNTRANS", "s", "one", _S, "script"),
    (5105, "PREUNTRANSPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (5106, "POSTUNTRANSPROG", "s|s[]", "any", _S, "interpreter and its arguments; runs even without a script"),
    (5107, "PREUNTRANSFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5108, "POSTUNTRANSFLAGS", "i", "one", _S, "whether rpm expands macros in it"),
    (5112, "PAYLOADSIZE", "l", "one", _L, "follows the compressor"),
    (5113, "PAYLOADSIZEALT", "l", "one", _L, "what the content gives is bounded by the files' own sizes"),
    (5114, "RPMFORMAT", "i", "one", _S, "6 in packages of that format: rpm reads and checks them by other rules"),
    (5115, "FILEMIMEINDEX", "i", "file", _L, "what the builder's libmagic calls the file"),
    (5116, "MIMEDICT", "s[]", "any", _L, "what the builder's libmagic calls the files"),
    (5120, "SOURCENEVR", "s", "one", _S, "what it was built from"),
    (5121, "PAYLOADSHA512", "s", "one", _A, "hex SHA-512; the content is hashed file by file"),
    (5122, "PAYLOADSHA512ALT", "s", "one", _L, "rpm does not look at it where PAYLOADSHA512 matches"),
    (5123, "PAYLOADSHA3_256", "s", "one", _A, "hex SHA3-256; the content is hashed file by file"),
    (5124, "PAYLOADSHA3_256ALT", "s", "one", _L, "rpm does not look at it where PAYLOADSHA3_256 matches"),
)

_REGION = "marks a header in memory or a signature header, never a package's main header"
_SIGNATURE = "of the signature header: signs or measures the main header, so cannot be inside"
_FILESIGNATURE = "rpm's plugins write it to the files; belongs into the signature header"
_SOURCE = "of source packages"
_SPEC = "a word of the spec file, never written into a header"
_INSTALLED = "rpm adds it when it installs; beforehand it would override paths, states or prefixes"
_EXTENSION = "computed from other tags when it is asked for; stored, it would lie"
_OBSOLETE = "of rpm before 4, which no package of today needs"
_UNIMPLEMENTED = "a reserved number without a meaning; a later rpm may give it one"

_REFUSED: Tuple[Tuple[str, Tuple[Tuple[int, str], ...]], ...] = (
    (_REGION, ((61, "HEADERIMAGE"), (62, "HEADERSIGNATURES"), (64, "HEADERREGIONS"))),
    (
        _SIGNATURE,
        (
            *((257, "SIGSIZE"), (258, "SIGLEMD5_1"), (259, "SIGPGP"), (260, "SIGLEMD5_2"), (261, "SIGMD5")),
            *((262, "SIGGPG"), (263, "SIGPGP5"), (264, "BADSHA1_1"), (265, "BADSHA1_2"), (266, "PUBKEYS")),
            *((267, "DSAHEADER"), (268, "RSAHEADER"), (269, "SHA1HEADER"), (270, "LONGSIGSIZE")),
            *((271, "LONGARCHIVESIZE"), (273, "SHA256HEADER"), (278, "OPENPGP"), (279, "SHA3_256HEADER")),
        ),
    ),
    (
        _FILESIGNATURE,
        (
            *((274, "SIG_FILESIGNATURES"), (275, "SIG_FILESIGNATURELENGTH")),
            *((276, "VERITYSIGNATURES"), (277, "VERITYSIGNATUREALGO")),
            *((5090, "FILESIGNATURES"), (5091, "FILESIGNATURELENGTH")),
        ),
    ),
    (
        _SOURCE,
        (
            *((1018, "SOURCE"), (1019, "PATCH"), (1051, "NOSOURCE"), (1052, "NOPATCH"), (1089, "BUILDARCHS")),
            *((1106, "SOURCEPACKAGE"), (5099, "SPEC"), (5102, "SOURCELICENSE")),
        ),
    ),
    (
        _SPEC,
        (
            *((1017, "CHANGELOG"), (1063, "AUTOREQPROV"), (1084, "PREREQ"), (1093, "DOCDIR"), (1100, "TRIGGERIN")),
            *((1101, "TRIGGERUN"), (1102, "TRIGGERPOSTUN"), (1103, "AUTOREQ"), (1104, "AUTOPROV")),
            *((1108, "BUILDPREREQ"), (1109, "BUILDREQUIRES"), (1110, "BUILDCONFLICTS"), (1111, "BUILDMACROS")),
            *((1171, "TRIGGERPREIN"), (1172, "BUILDSUGGESTS"), (1173, "BUILDENHANCES"), (1193, "BUILDPROVIDES")),
            *((1194, "BUILDOBSOLETES"), (5063, "FILETRIGGERIN"), (5064, "FILETRIGGERUN")),
            *((5065, "FILETRIGGERPOSTUN"), (5073, "TRANSFILETRIGGERIN"), (5074, "TRANSFILETRIGGERUN")),
            *((5075, "TRANSFILETRIGGERPOSTUN"), (5083, "REMOVEPATHPOSTFIXES")),
            *((5110, "BUILDSYSTEM"), (5111, "BUILDOPTION")),
        ),
    ),
    (
        _INSTALLED,
        (
            *((1008, "INSTALLTIME"), (1029, "FILESTATES"), (1099, "INSTPREFIXES"), (1119, "ORIGDIRINDEXES")),
            *((1120, "ORIGBASENAMES"), (1121, "ORIGDIRNAMES"), (1127, "INSTALLCOLOR"), (1128, "INSTALLTID")),
            *((1129, "REMOVETID"), (5094, "AUTOINSTALLED"), (5118, "PACKAGEDIGESTS"), (5119, "PACKAGEDIGESTALGOS")),
        ),
    ),
    (
        _EXTENSION,
        (
            *((1148, "FSCONTEXTS"), (1149, "RECONTEXTS"), (1195, "DBINSTANCE"), (1196, "NVRA"), (5000, "FILENAMES")),
            *((5001, "FILEPROVIDE"), (5002, "FILEREQUIRE"), (5005, "TRIGGERCONDS"), (5006, "TRIGGERTYPE")),
            *((5007, "ORIGFILENAMES"), (5013, "EVR"), (5014, "NVR"), (5015, "NEVR"), (5016, "NEVRA")),
            *((5017, "HEADERCOLOR"), (5018, "VERBOSE"), (5019, "EPOCHNUM"), (5040, "INSTFILENAMES")),
            *((5041, "REQUIRENEVRS"), (5042, "PROVIDENEVRS"), (5043, "OBSOLETENEVRS"), (5044, "CONFLICTNEVRS")),
            *((5045, "FILENLINKS"), (5058, "RECOMMENDNEVRS"), (5059, "SUGGESTNEVRS"), (5060, "SUPPLEMENTNEVRS")),
            *((5061, "ENHANCENEVRS"), (5086, "FILETRIGGERCONDS"), (5087, "FILETRIGGERTYPE")),
            *((5088, "TRANSFILETRIGGERCONDS"), (5089, "TRANSFILETRIGGERTYPE"), (5098, "ARCHSUFFIX")),
            *((5109, "SYSUSERS"), (5117, "FILEMIMES")),
        ),
    ),
    (
        _OBSOLETE,
        (
            *((1027, "OLDFILENAMES"), (1031, "FILEUIDS"), (1032, "FILEGIDS"), (1038, "ROOT"), (1041, "EXCLUDE")),
            *((1042, "EXCLUSIVE"), (1043, "ICON"), (1056, "DEFAULTPREFIX"), (1057, "BUILDROOT")),
            *((1058, "INSTALLPREFIX"), (1083, "BROKENMD5"), (1105, "CAPABILITY"), (1107, "OLDORIGFILENAMES")),
            *((1130, "SHA1RHN"), (1133, "PATCHESNAME"), (1134, "PATCHESFLAGS"), (1135, "PATCHESVERSION")),
            *((1136, "CACHECTIME"), (1137, "CACHEPKGPATH"), (1138, "CACHEPKGSIZE"), (1139, "CACHEPKGMTIME")),
        ),
    ),
    (
        _UNIMPLEMENTED,
        (
            *((1162, "PRIORITY"), (1163, "CVSID"), (1164, "BLINKPKGID"), (1165, "BLINKHDRID"), (1166, "BLINKNEVRA")),
            *((1167, "FLINKPKGID"), (1168, "FLINKHDRID"), (1169, "FLINKNEVRA"), (1170, "PACKAGEORIGIN")),
            *((1174, "SCRIPTSTATES"), (1175, "SCRIPTMETRICS"), (1176, "BUILDCPUCLOCK"), (1178, "VARIANTS")),
            *((1179, "XMAJOR"), (1180, "XMINOR"), (1181, "REPOTAG"), (1182, "KEYWORDS"), (1183, "BUILDPLATFORMS")),
            *((1184, "PACKAGECOLOR"), (1185, "PACKAGEPREFCOLOR"), (1186, "XATTRSDICT"), (1187, "FILEXATTRSX")),
            *((1188, "DEPATTRSDICT"), (1189, "CONFLICTATTRSX"), (1190, "OBSOLETEATTRSX"), (1191, "PROVIDEATTRSX")),
            *((1192, "REQUIREATTRSX"), (5003, "FSNAMES"), (5004, "FSSIZES"), (5029, "COLLECTIONS")),
            *((5038, "MSSFMANIFEST"), (5039, "MSSFDOMAIN"), (5095, "IDENTITY")),
        ),
    ),
)


def _tags() -> Mapping[int, Tag]:
    table = [
        Tag(number, name, tuple(_TYPES[letter] for letter in types.split("|")), arity, klass, why)
        for number, name, types, arity, klass, why in _TABLE
    ]
    table += [Tag(number, name, (), "any", Klass.REFUSED, why) for why, members in _REFUSED for number, name in members]
    return MappingProxyType({tag.number: tag for tag in sorted(table, key=lambda tag: tag.number)})


TAGS: Mapping[int, Tag] = _tags()
"""Every known tag by its number, in the order of numbers."""

GROUPS: Mapping[str, Tuple[int, ...]] = MappingProxyType(
    {
        "file": (1117, 1116, 1030, 1033, 1035, 1036, 1037, 1039, 1040),
        "dir": (1118,),
        "provide": (1047, 1112, 1113),
        "require": (1049, 1048, 1050),
        "conflict": (1054, 1053, 1055),
        "obsolete": (1090, 1114, 1115),
        "oldsuggest": (1156, 1157, 1158),
        "oldenhance": (1159, 1160, 1161),
        "recommend": (5046, 5047, 5048),
        "suggest": (5049, 5050, 5051),
        "supplement": (5052, 5053, 5054),
        "enhance": (5055, 5056, 5057),
        "order": (5035, 5036, 5037),
        "trigger": (1066, 1067, 1068, 1069),
        "triggerscript": (1065, 1092),
        "filetrigger": (5069, 5070, 5071, 5072),
        "filetriggerscript": (5066, 5067),
        "transfiletrigger": (5079, 5080, 5081, 5082),
        "transfiletriggerscript": (5076, 5077),
        "policy": (1150, 5030, 5033),
        "policytype": (5031, 5032),
        "changelog": (1080, 1081, 1082),
    }
)
"""Where one tag of the group is present, these must be; the first is the anchor, whose count is the group's."""

INDEXES: Mapping[int, int] = MappingProxyType({1116: 1118, 1069: 1065, 5070: 5066, 5080: 5076, 5032: 1150})
"""Tags whose values are places (from 0) in another tag: each value must be less than that tag's count."""

SHAPES: Mapping[int, Pattern[bytes]] = MappingProxyType(
    {
        1125: re.compile(rb"(gzip|bzip2|xz|lzma|zstd)\0\Z"),
        5092: re.compile(rb"[0-9a-f]{64}\0\Z"),
        5093: re.compile(rb"\0\0\0\x08\Z"),
        5121: re.compile(rb"[0-9a-f]{128}\0\Z"),
        5123: re.compile(rb"[0-9a-f]{64}\0\Z"),
    }
)
"""What the stored value of an asserted tag must match (re.match); HEADERIMMUTABLE is checked with the region."""
