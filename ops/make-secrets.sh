#!/usr/bin/env bash
# Writes the secrets of compose.production.yml that do not exist yet into the folder secrets beside this file.
#
#   ADMIN_EMAIL=… GOOGLE_CLIENT_ID=… ops/make-secrets.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Only the owner may enter the folder. Containers run as other users, who must be able to read the files in it.
mkdir -p secrets
chmod 700 secrets
umask 022

# random FILE BYTES ENCODING: writes random bytes, unless the file exists.
random() { [ -e "secrets/$1" ] || openssl rand "-$3" "$2" | tr -d '\n' > "secrets/$1"; }

random mongo_keyfile 756 base64
random mongo_root_password 24 hex
random mongo_app_password 24 hex
if [ ! -e secrets/backend.env ]; then
  : "${ADMIN_EMAIL:?is the address of the administrator}" "${GOOGLE_CLIENT_ID:?is the client id of the frontend}"
  cat > secrets/backend.env <<END
# Variables of the backends; .env.example lists all.
ADMIN_EMAIL=$ADMIN_EMAIL
GOOGLE_CLIENT_ID=$GOOGLE_CLIENT_ID
MONGO_URI=mongodb://field_notes:$(cat secrets/mongo_app_password)@mongo-1,mongo-2,mongo-3/ghostmonk?replicaSet=rs0
END
fi
ls -l secrets
