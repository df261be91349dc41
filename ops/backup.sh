#!/bin/sh
# Backs up the database and, if media are in a folder or bucket that MEDIA_BACKUP says to copy, those files.
#
#   backup.sh           once
#   backup.sh --daily   now, and then every day at BACKUP_HOUR
#
# BACKUP_ROOT    folder of these backups (/backups); migrations keep their own in BACKUP_DIR
# BACKUP_COUNT   number of backups of the database to keep (14)
# BACKUP_HOUR    hour of the day, in UTC (3)
# MEDIA_BACKUP   on, or off if the storage of media has backups of its own (on)
#
# Files of media are added and never removed: a file that was deleted stays in the copy.
set -eu

root=${BACKUP_ROOT:-/backups}
program=${FIELD_NOTES_PROGRAM:-field-notes}

backup() {
  mkdir -p "$root/database"
  "$program" migrate backup --dir "$root/database" --reason scheduled
  # The names start with the time, and only complete backups have a manifest.
  for manifest in "$root"/database/*T*Z-*/manifest.json; do dirname "$manifest"; done |
    sort -r | tail -n "+$((${BACKUP_COUNT:-14} + 1))" |
    while read -r old; do
      rm -r "$old"
      echo "removed $old"
    done
  [ "${MEDIA_BACKUP:-on}" = off ] || "$program" media copy --to "file://$root/media"
}

if [ "${1:-}" != --daily ]; then
  backup
  exit
fi
trap exit TERM INT
while :; do
  # In a process of its own, so that a failure ends the backup and not the schedule.
  "$0" || echo "the backup failed with exit code $?" >&2
  now=$(date +%s)
  next=$((now / 86400 * 86400 + ${BACKUP_HOUR:-3} * 3600))
  [ "$next" -gt "$now" ] || next=$((next + 86400))
  sleep $((next - now)) &
  wait $!
done
