"""Every finding there is: how much it weighs, why it is there and how to mend it.

The table in `validator/README.md` is generated from here; a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from validator.findings.finding import Finding, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the challenge.

    Attributes:
        code: Its name; stable, for scripts may look for it.
        severity: How much a breach weighs.
        title: What is wrong, in a few words; heads a group in the report.
        why: Why the rule is there.
        fix: How to mend it; the hint of its findings.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str

    def at(
        self, path: str, message: str, *, expected: str = "", found: str = "", hint: str | None = None
    ) -> Finding:
        """A finding of this rule at that place."""
        return Finding(
            code=self.code,
            severity=self.severity,
            path=path,
            message=message,
            expected=expected,
            found=found,
            hint=self.fix if hint is None else hint,
        )


_PACK = "Pack the folder again with an ordinary tool, such as `zip -r` or Python's `shutil.make_archive`."

_RULES = (
    # --- the archive ---------------------------------------------------------------------------------
    Rule(
        "archive-unreadable",
        ERROR,
        "The archive cannot be read",
        "Without a sound directory nothing in it can be trusted; a cut-off upload looks like this.",
        "Test it with `unzip -t`, upload it again, or pack it afresh.",
    ),
    Rule(
        "archive-too-large",
        ERROR,
        "The archive is larger than any submission can be",
        "Size caps, derived from the files the challenge asks for, keep one upload from filling a disk.",
        "Leave out everything but the files the challenge asks for.",
    ),
    Rule(
        "archive-structure",
        ERROR,
        "The archive is not built as an honest tool builds it",
        "Members out of order, overlapping, or outside the file make one archive mean different things to "
        "different programs.",
        _PACK,
    ),
    Rule(
        "member-mismatch",
        ERROR,
        "A member's own header differs from the directory",
        "Two programs would see two different files.",
        _PACK,
    ),
    Rule(
        "member-compression",
        ERROR,
        "A member is packed by a method other than stored or deflated",
        "Other methods are not read everywhere, and their readers are less proven.",
        _PACK,
    ),
    Rule(
        "member-encrypted",
        ERROR,
        "A member is encrypted",
        "Nobody can score what nobody can read.",
        "Pack it again without a password.",
    ),
    Rule(
        "member-special",
        ERROR,
        "A member is a link or a device",
        "Links point out of the submission; only regular files and folders count.",
        "Replace links by the files they point to (`zip` without `-y`, `cp -L`).",
    ),
    Rule(
        "member-name",
        ERROR,
        "A member has an unsafe name",
        "Absolute names, `..`, drive letters, backslashes and control characters write elsewhere when "
        "unpacked; names too long cannot be unpacked at all.",
        "Pack the submission's folder by relative names with forward slashes.",
    ),
    Rule(
        "member-duplicate",
        ERROR,
        "Two members have the same name",
        "Which of the two counts would depend on the program, or on the file system (letter case, Unicode "
        "form).",
        "Keep one of them.",
    ),
    Rule(
        "member-too-large",
        ERROR,
        "A member is larger than its audio can be",
        "A cap per member, derived from the audio it should hold, stops archive bombs.",
        "Save the stem or remix in the length and format the challenge asks for.",
    ),
    Rule(
        "member-corrupt",
        ERROR,
        "A member's contents are damaged",
        "Its checksum or its size is not what the directory says: the upload or the packing went wrong.",
        "Test the archive with `unzip -t`; pack and upload it again.",
    ),
    # --- names ---------------------------------------------------------------------------------------
    Rule(
        "nested-folders",
        ERROR,
        "The files lie more than one folder too deep",
        "One wrapper folder is allowed; a script that looks deeper would guess.",
        "Pack from inside the inner folder.",
    ),
    Rule(
        "missing",
        ERROR,
        "A file is missing",
        "Every listener needs all eight stems and the remix of every song; an incomplete submission is "
        "never ranked.",
        "Add the file under exactly the name expected.",
    ),
    Rule(
        "misnamed",
        ERROR,
        "A file has a name that is nearly right",
        "The scorer finds files by their exact name; the file expected in its place is missing.",
        "Rename it as expected.",
    ),
    Rule(
        "unexpected",
        ERROR,
        "A file does not belong here",
        "A file the scorer never reads is mostly a stem that someone thinks is scored.",
        "Remove it, or give it the name it should have.",
    ),
    # --- FLAC ----------------------------------------------------------------------------------------
    Rule(
        "not-flac",
        ERROR,
        "A file is not FLAC, whatever its name says",
        "Audio libraries pick their reader by content; only FLAC is agreed on.",
        "Save it with a FLAC encoder, such as `soundfile.write(..., format='FLAC', subtype='PCM_16')`.",
    ),
    Rule(
        "flac-header",
        ERROR,
        "A FLAC header is damaged or impossible",
        "Nothing can be said of audio whose header makes no sense.",
        "Write the file again.",
    ),
    Rule(
        "flac-unknown-length",
        ERROR,
        "A FLAC header does not say how long the audio is",
        "A stream written to a pipe has no length; whether it is complete cannot be told.",
        "Write to a file instead of a pipe.",
    ),
    Rule(
        "sample-rate",
        ERROR,
        "Wrong sample rate",
        "Another rate would be resampled in silence, or played at the wrong pitch.",
        "Stems are 24000 Hz, remixes 32000 Hz: resample before saving.",
    ),
    Rule(
        "bit-depth",
        ERROR,
        "Wrong bit depth",
        "All submissions are quantised alike.",
        "Save as 16-bit FLAC (subtype PCM_16).",
    ),
    Rule(
        "channels",
        ERROR,
        "Wrong number of channels",
        "A stem is one ear's signal (mono); a remix is stereo.",
        "Save left and right stems as separate mono files, and the remix as stereo.",
    ),
    Rule(
        "length",
        ERROR,
        "Wrong length",
        "A stem that is too short or too long is compared with the wrong part of the music; a half-length "
        "stem can score almost as before, and nobody notices.",
        "Cut the song to the segment (split test) or process the whole song (split valid), then resample.",
    ),
    Rule(
        "length-inconsistent",
        ERROR,
        "Files of one song differ in length",
        "All files of a song cover the same time, so at most one of the lengths is right.",
        "Process the whole song for every listener.",
    ),
    Rule(
        "flac-corrupt",
        ERROR,
        "A FLAC file does not decode",
        "A frame is damaged: part of the audio would be lost or silent.",
        "Test it with `flac -t`, then write it again.",
    ),
    Rule(
        "flac-truncated",
        ERROR,
        "A FLAC file holds less audio than its header says",
        "A truncated file decodes short without an error in many programs, and its score hardly shows it.",
        "Write the file again; look for a full disk or an interrupted copy.",
    ),
    Rule(
        "flac-trailing",
        ERROR,
        "A FLAC file holds more audio than its header says",
        "Programs that trust the header and programs that read on would hear different things.",
        "Write the file again.",
    ),
    Rule(
        "flac-md5",
        ERROR,
        "The audio of a FLAC file is not what was encoded",
        "The digest that the encoder stored does not fit the audio: the file was damaged or edited.",
        "Write the file again.",
    ),
    # --- scale files ---------------------------------------------------------------------------------
    Rule(
        "scale-value",
        ERROR,
        "A scale file does not hold one usable number",
        "The scorer multiplies the stem by float(text): `nan` makes a score of nonsense, and notations that "
        "only some languages read make a different score for each.",
        "Write one plain decimal number, over 0 and at most 10000, such as `1.2345`.",
    ),
    Rule(
        "scale-missing",
        WARNING,
        "A stem at full scale has no scale file",
        "The stem looks normalised to its peak. Without the factor it is scored at the wrong level, which "
        "costs a perfect stem up to half of its score.",
        "Put the peak that the stem was divided by into the .txt beside it, or save it unnormalised.",
    ),
    Rule(
        "scale-remix",
        ERROR,
        "A remix has a scale file",
        "A remix is heard as it is; a factor beside it is never read.",
        "Save the remix at the level at which it is to be heard, and remove the .txt.",
    ),
    # --- sense: what is formally right and yet looks wrong -------------------------------------------
    Rule(
        "silent",
        WARNING,
        "Digital silence",
        "A silent stem scores 0.03 to 0.09 where a right one scores several times as much; a dead channel "
        "cost a team of 2023 half its score.",
        "Look at the step that wrote this channel: a lost channel, a division by zero, an empty separation.",
    ),
    Rule(
        "sides-equal",
        WARNING,
        "Left and right are bit-equal",
        "Two ears with their own audiograms hardly ever get the same bits: one channel was written twice.",
        "Save each ear's own channel, amplified by that ear's audiogram.",
    ),
    Rule(
        "stems-identical",
        WARNING,
        "Several stems are one and the same signal",
        "Four stems cannot be equal: one file was copied, or the mixture was saved in place of the stems.",
        "Save each separated stem under its own name.",
    ),
    Rule(
        "remix-clipped",
        WARNING,
        "A remix is clipped",
        "Samples cut off at full scale are audible distortion, and remixes are heard by a panel.",
        "Lower the level before saving, or use a soft limiter as the baseline does.",
    ),
    Rule(
        "remix-quiet",
        WARNING,
        "A remix is hardly audible",
        "0 dB re full scale is played at 100 dB SPL; a remix below 40 dB SPL is hardly heard.",
        "Set the remix to a level at which music is listened to.",
    ),
    Rule(
        "remix-loud",
        INFO,
        "A remix is very loud",
        "0 dB re full scale is played at 100 dB SPL. The baseline's own remixes of loud music for severe losses "
        "come to 99 dB SPL, so this is no mistake; but its limiter distorts there, and somebody listens.",
        "Nothing need be done; a lower level before the limiter distorts less.",
    ),
    Rule(
        "not-personal",
        INFO,
        "All listeners got the same audio",
        "The challenge asks for audio made for each listener; one version for all is allowed, and mostly "
        "an oversight.",
        "Amplify by each listener's audiogram, if that was meant.",
    ),
    Rule(
        "reference-silent",
        INFO,
        "A reference is silent",
        "The metric has no value for a silent reference; that value is left out of the averages.",
        "Nothing to do.",
    ),
    Rule(
        "stems-permuted",
        WARNING,
        "The stems lie under each other's names",
        "A team of 2023 lost half its score because its model listed the stems in another order than its "
        "script; the remix, a sum, sounded right.",
        "Compare the order of the separator's outputs with the order in which they are saved.",
    ),
    Rule(
        "stem-mislabelled",
        WARNING,
        "A stem looks like another one",
        "The right stem scores about 0.9 where another scores about 0.03.",
        "Listen to the file; save each stem under its own name.",
    ),
    Rule(
        "sides-swapped",
        WARNING,
        "Left and right are swapped",
        "Each ear is amplified and scored by its own audiogram.",
        "Channel 0 is left, channel 1 is right.",
    ),
    Rule(
        "not-amplified",
        WARNING,
        "The stems were not amplified",
        "The scorer amplifies the reference by NAL-R and wants the stem amplified too: perfect stems without "
        "amplification score 0.42 to 0.69.",
        "Apply NAL-R with the listener's audiogram to each stem before saving it.",
    ),
    Rule(
        "level",
        WARNING,
        "A stem lies far from the reference's level",
        "A lost or wrong scale file, or a second normalisation, shows here and nowhere else.",
        "Look at the scale file beside it: it must hold the peak that the stem was divided by.",
    ),
)


def table() -> str:
    """Every rule as a Markdown table, for `validator/README.md`."""
    lines = [
        "| code | severity | what is wrong | why the rule is there | how to mend it |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{r.code}` | {r.severity} | {r.title} | {r.why} | {r.fix} |" for r in _RULES]
    return "\n".join(lines) + "\n"


RULES = {rule.code: rule for rule in _RULES}


def rule(code: str) -> Rule:
    """The rule of that code (KeyError where there is none)."""
    return RULES[code]


if __name__ == "__main__":
    print(table(), end="")
