"""Every code that a finding can have: its severity, its reason and how to fix it.

The table in `docs/findings.md` is generated from here (`python -m validator.findings.codes`); a test keeps the two
equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from validator.findings.finding import Finding, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True, slots=True)
class Code:
    """What all findings of one code have in common.

    Attributes:
        name: The code itself, such as "sample-rate". It is stable: scripts may rely on it.
        severity: How serious it is.
        title: What is wrong, in a few words; the heading of a group in the text report.
        reason: Why it matters.
        fix: How to fix it; the default hint of its findings.
    """

    name: str
    severity: Severity
    title: str
    reason: str
    fix: str


_REPACK = "Pack the folder again with a standard tool, such as `zip -r` or Python's `shutil.make_archive`."

_CODES = (
    # --- the archive ---------------------------------------------------------------------------------
    Code(
        "archive-unreadable",
        ERROR,
        "The archive cannot be read",
        "An archive with a damaged directory cannot be trusted; an interrupted upload is a common cause.",
        "Test it with `unzip -t`, then upload or pack it again.",
    ),
    Code(
        "archive-too-large",
        ERROR,
        "The archive is larger than any submission can be",
        "Size limits, derived from the expected files, keep one upload from filling the disk.",
        "Remove everything but the files that the challenge asks for.",
    ),
    Code(
        "archive-structure",
        ERROR,
        "The archive has an invalid structure",
        "If members are out of order, overlap or lie outside the file, different programs read different contents.",
        _REPACK,
    ),
    Code(
        "member-mismatch",
        ERROR,
        "A member's local header differs from the archive's directory",
        "Different programs would read different files.",
        _REPACK,
    ),
    Code(
        "member-compression",
        ERROR,
        "A member uses an unsupported compression method",
        "Methods other than stored and deflated are not supported everywhere, and their decoders are less tested.",
        _REPACK,
    ),
    Code(
        "member-encrypted",
        ERROR,
        "A member is encrypted",
        "An encrypted file cannot be scored.",
        "Pack it again without a password.",
    ),
    Code(
        "member-special",
        ERROR,
        "A member is a link or a device",
        "Links can point outside the submission; only regular files and folders are allowed.",
        "Replace links with the files they point to (`zip` without `-y`, `cp -L`).",
    ),
    Code(
        "member-name",
        ERROR,
        "A member has an unsafe name",
        "Absolute paths, `..`, drive letters, backslashes and control characters can write outside the "
        "target folder; names that are too long cannot be unpacked.",
        "Pack the folder with relative paths and forward slashes.",
    ),
    Code(
        "member-duplicate",
        ERROR,
        "Two members have the same name",
        "Which of the two is used would depend on the program, or on the file system (letter case, Unicode form).",
        "Keep only one of them.",
    ),
    Code(
        "member-too-large",
        ERROR,
        "A member is larger than its audio can be",
        "A size limit per member, derived from the expected audio, stops archive bombs.",
        "Save the stem or remix in the length and format that the challenge asks for.",
    ),
    Code(
        "member-corrupt",
        ERROR,
        "A member's contents are damaged",
        "Its checksum or size differs from the archive's directory, so packing or uploading failed.",
        "Test the archive with `unzip -t`, then pack and upload it again.",
    ),
    # --- names ---------------------------------------------------------------------------------------
    Code(
        "nested-folders",
        ERROR,
        "The files are nested too deeply",
        "One wrapper folder is allowed; with more, the scorer would have to guess where the files are.",
        "Pack the contents of the innermost wrapper folder.",
    ),
    Code(
        "missing",
        ERROR,
        "A file is missing",
        "Every listener needs eight stems and a remix of every song; an incomplete submission is never ranked.",
        "Add the file under exactly the expected name.",
    ),
    Code(
        "misnamed",
        ERROR,
        "A file is misnamed",
        "The scorer finds files by their exact name, so the file expected in its place is missing.",
        "Rename it as expected.",
    ),
    Code(
        "unexpected",
        ERROR,
        "A file is not expected",
        "The scorer never reads such a file; often it is a stem with the wrong name.",
        "Remove it, or rename it.",
    ),
    # --- FLAC ----------------------------------------------------------------------------------------
    Code(
        "not-flac",
        ERROR,
        "A file is not a FLAC file",
        "Audio libraries choose a decoder by the contents, not by the name; only FLAC is accepted.",
        "Save it with a FLAC encoder, such as `soundfile.write(..., format='FLAC', subtype='PCM_16')`.",
    ),
    Code(
        "flac-header",
        ERROR,
        "A FLAC header is invalid",
        "Audio cannot be decoded safely if its header is damaged.",
        "Write the file again.",
    ),
    Code(
        "flac-unknown-length",
        ERROR,
        "A FLAC header does not give the length",
        "An encoder that writes to a pipe leaves the length empty, so truncation cannot be detected.",
        "Write to a file instead of a pipe.",
    ),
    Code(
        "sample-rate",
        ERROR,
        "Wrong sample rate",
        "Audio at another rate would be resampled silently, or played at the wrong pitch.",
        "Resample before saving: stems to 24000 Hz, remixes to 32000 Hz.",
    ),
    Code(
        "bit-depth",
        ERROR,
        "Wrong bit depth",
        "All submissions have the same bit depth.",
        "Save as 16-bit FLAC (subtype PCM_16).",
    ),
    Code(
        "channels",
        ERROR,
        "Wrong number of channels",
        "A stem is one ear's signal (mono); a remix is stereo.",
        "Save left and right stems as separate mono files, and the remix as stereo.",
    ),
    Code(
        "length",
        ERROR,
        "Wrong length",
        "A stem that is too short or too long is compared with the wrong part of the music; half a stem "
        "can score almost as well as a whole one, so the score does not reveal it.",
        "Process the segment (split test) or the whole song (split valid), then resample.",
    ),
    Code(
        "length-inconsistent",
        ERROR,
        "Files of one song differ in length",
        "All files of a song cover the same time, so at most one of the lengths is right.",
        "Process the whole song for every listener.",
    ),
    Code(
        "flac-corrupt",
        ERROR,
        "A FLAC file cannot be decoded",
        "A frame is damaged, so part of the audio would be lost or silent.",
        "Test it with `flac -t`, then write it again.",
    ),
    Code(
        "flac-truncated",
        ERROR,
        "A FLAC file contains less audio than its header declares",
        "Many programs decode a truncated file without an error, and the score hardly reveals it.",
        "Check for a full disk or an interrupted copy, then write the file again.",
    ),
    Code(
        "flac-trailing",
        ERROR,
        "A FLAC file contains more audio than its header declares",
        "Programs that trust the header and programs that read to the end would decode different audio.",
        "Write the file again.",
    ),
    Code(
        "flac-md5",
        ERROR,
        "The audio of a FLAC file does not match its MD5",
        "The header contains the MD5 of the audio; a mismatch means that the file was damaged or edited.",
        "Write the file again.",
    ),
    # --- scale files ---------------------------------------------------------------------------------
    Code(
        "scale-value",
        ERROR,
        "A scale file does not contain one valid number",
        "The scorer multiplies the stem by float(text): `nan` gives a meaningless score, and other "
        "notations are read differently by different languages.",
        "Write one plain decimal number, above 0 and at most 10000, such as `1.2345`.",
    ),
    Code(
        "scale-missing",
        WARNING,
        "A stem at full scale has no scale file",
        "The stem looks normalised to its peak. Without the scale factor it is scored at the wrong level, "
        "which costs a perfect stem up to half of its score.",
        "Write the peak that the stem was divided by to the .txt file next to it, or save the stem without "
        "normalising it.",
    ),
    Code(
        "scale-remix",
        ERROR,
        "A remix has a scale file",
        "A remix is played as it is; its scale file is never read.",
        "Save the remix at its playback level, and remove the .txt file.",
    ),
    # --- plausibility: what is allowed and yet looks wrong -------------------------------------------
    Code(
        "silent",
        WARNING,
        "The audio is silent",
        "A silent stem scores 0.03 to 0.09, several times less than a correct one; a dead channel cost a "
        "team half its score in 2023.",
        "Check the step that wrote this channel for a lost channel, a division by zero or an empty separation.",
    ),
    Code(
        "sides-equal",
        WARNING,
        "Left and right are identical",
        "Two ears with their own audiograms rarely get the same samples; probably one channel was written twice.",
        "Save each ear's own channel, amplified for that ear's audiogram.",
    ),
    Code(
        "stems-identical",
        WARNING,
        "Several stems are identical",
        "Different stems never have the same samples; a file was copied, or the mixture saved as every stem.",
        "Save each separated stem under its own name.",
    ),
    Code(
        "remix-clipped",
        WARNING,
        "A remix is clipped",
        "Samples cut off at full scale are audible distortion, and a listening panel hears the remixes.",
        "Lower the level before saving, or use a soft limiter as the baseline does.",
    ),
    Code(
        "remix-quiet",
        WARNING,
        "A remix is barely audible",
        "0 dB re full scale is played at 100 dB SPL; a remix below 40 dB SPL is hard to hear.",
        "Set the remix to a normal listening level.",
    ),
    Code(
        "remix-loud",
        INFO,
        "A remix is very loud",
        "0 dB re full scale is played at 100 dB SPL. The baseline's own remixes of loud music for severe "
        "losses reach 99 dB SPL, so this is not an error, but its limiter distorts at that level and "
        "people will listen to it.",
        "Nothing has to be done; a lower level before the limiter reduces distortion.",
    ),
    Code(
        "not-personal",
        INFO,
        "All listeners have the same audio",
        "The challenge asks for audio made for each listener; one version for all is allowed but often a mistake.",
        "Amplify for each listener's audiogram, unless one version for all is intended.",
    ),
    Code(
        "reference-silent",
        INFO,
        "A reference is silent",
        "The metric is undefined for a silent reference; that value is left out of the averages.",
        "Nothing has to be done.",
    ),
    Code(
        "stems-permuted",
        WARNING,
        "The stems are saved under each other's names",
        "A team lost half its score in 2023 because its model returned the stems in another order than its"
        " script assumed; the remix, a sum, sounded right.",
        "Compare the order of the separator's outputs with the order in which they are saved.",
    ),
    Code(
        "stem-mislabelled",
        WARNING,
        "A stem looks like another stem",
        "A stem under the wrong name scores about 0.03 where the right one scores about 0.9.",
        "Listen to the file, and save each stem under its own name.",
    ),
    Code(
        "sides-swapped",
        WARNING,
        "Left and right are swapped",
        "Each ear is amplified and scored with its own audiogram.",
        "Save channel 0 as left and channel 1 as right.",
    ),
    Code(
        "not-amplified",
        WARNING,
        "The stems are not amplified",
        "The scorer amplifies the reference with NAL-R and expects amplified stems: perfect stems without "
        "amplification score 0.42 to 0.69.",
        "Apply NAL-R with the listener's audiogram to each stem before saving it.",
    ),
    Code(
        "level",
        WARNING,
        "A stem's level is far from the reference's",
        "No other check detects a lost or wrong scale file, or a second normalisation.",
        "Check that the scale file next to it contains the peak that the stem was divided by.",
    ),
)

CODES = {code.name: code for code in _CODES}
"""Every code by its name."""


def new_finding(
    code: str, path: str, message: str, *, expected: str = "", found: str = "", hint: str | None = None
) -> Finding:
    """A finding with the severity of its code.

    Args:
        code: A key of `CODES`.
        path: As in `Finding`.
        message: As in `Finding`.
        expected: As in `Finding`.
        found: As in `Finding`.
        hint: How to fix it; None for the fix of the code.

    Raises:
        KeyError: there is no such code.
    """
    known = CODES[code]
    return Finding(
        code=code,
        severity=known.severity,
        path=path,
        message=message,
        expected=expected,
        found=found,
        hint=known.fix if hint is None else hint,
    )


def table() -> str:
    """Every code as a Markdown table, for `docs/findings.md`."""
    lines = [
        "| code | severity | what is wrong | why it matters | how to fix it |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{c.name}` | {c.severity} | {c.title} | {c.reason} | {c.fix} |" for c in _CODES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
