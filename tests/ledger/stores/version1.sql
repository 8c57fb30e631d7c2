PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE audits (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    stem TEXT NOT NULL,
    fast REAL NOT NULL,
    pyclarity REAL NOT NULL,
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, song, listener, stem)
) STRICT, WITHOUT ROWID;
CREATE TABLE challenges (
    digest TEXT PRIMARY KEY,
    split TEXT NOT NULL,
    songs TEXT NOT NULL,
    listeners TEXT NOT NULL
) STRICT;
INSERT INTO "challenges" VALUES('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','test','["A", "B"]','["L1"]');
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    challenge TEXT NOT NULL REFERENCES challenges (digest),
    submission TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('scored', 'self-reported')),
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    entered TEXT NOT NULL,
    UNIQUE (team, challenge, submission, kind, scorer, engine, locked)
) STRICT;
INSERT INTO "entries" VALUES(1,'E001','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','1111111111111111111111111111111111111111111111111111111111111111','s.zip',1,'scored','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','fast',1,'2026-01-01');
INSERT INTO "entries" VALUES(2,'E002','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','2222222222222222222222222222222222222222222222222222222222222222','s.zip',1,'scored','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','fast',1,'2026-01-02');
CREATE TABLE examples (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    left_bass REAL, right_bass REAL, left_drums REAL, right_drums REAL, left_other REAL, right_other REAL, left_vocals REAL, right_vocals REAL,
    seconds REAL NOT NULL,
    cpu_seconds REAL NOT NULL,
    run INTEGER REFERENCES runs (id),
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked, song, listener)
) STRICT, WITHOUT ROWID;
INSERT INTO "examples" VALUES('1111111111111111111111111111111111111111111111111111111111111111','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','fast',1,'A','L1',0.25,0.25,0.25,0.25,0.25,0.25,0.25,0.25,1.0,1.0,1,'2026-01-01');
INSERT INTO "examples" VALUES('1111111111111111111111111111111111111111111111111111111111111111','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','fast',1,'B','L1',0.25,0.25,0.25,0.25,0.25,0.25,0.25,0.25,1.0,1.0,1,'2026-01-01');
INSERT INTO "examples" VALUES('2222222222222222222222222222222222222222222222222222222222222222','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','fast',1,'A','L1',0.25,0.25,0.25,0.25,0.25,0.25,0.25,0.25,1.0,1.0,1,'2026-01-01');
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
INSERT INTO "runs" VALUES(1,'2026-01-01','{"scorer":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","engine":"fast","sandbox":"docker","locked":true,"image":"","base_image":"","versions":{},"cpu":""}');
COMMIT;
