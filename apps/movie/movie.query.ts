import { Controller } from '@nestjs/common';
import { Column, Entity, Index } from 'typeorm';
import { Public } from '#auth';
import { QueryController, queryService, serve, ViewRow } from '#resource';
import type { MovieEvents, MovieState, Rating } from './movie.events.js';
import { RATINGS } from './movie.rules.js';

// What TypeORM cannot say of an index stands in the migration: expressions, trigrams, where nulls lie.
@Entity('movie_view')
@Index('movie_view_title', { synchronize: false })
@Index('movie_view_title_search', { synchronize: false })
@Index('movie_view_release', { synchronize: false })
@Index('movie_view_genres', { synchronize: false })
export class MovieView extends ViewRow {
  @Column('varchar') title: string;
  @Column('int', { nullable: true }) minutes?: number;
  @Column({ type: 'varchar', nullable: true, enum: [...RATINGS] }) rating?: Rating;
  @Column('date') releaseOn: string;
  @Column('varchar', { array: true }) genres: string[];
  @Column('varchar', { nullable: true }) director?: string;
  @Column('varchar', { nullable: true }) synopsis?: string;
  @Column() retired: boolean;
}

@Controller('movies')
@Public()
export class MovieQueryController extends QueryController(MovieView, {
  filter: ['title', 'minutes', 'rating', 'releaseOn', { genre: 'genres' }, 'director', 'retired'],
  sort: ['title', 'releaseOn', 'minutes'],
  search: 'title',
}) {}

const project = ({ title, minutes, rating, releaseOn, genres, director, synopsis, retired }: MovieState) => ({
  ...{ title, minutes, rating, releaseOn, genres, director, synopsis, retired },
});

export const MovieQuery = queryService<MovieView, MovieEvents>({
  name: 'movie-query',
  view: MovieView,
  controller: MovieQueryController,
  on: { 'movie.created': project, 'movie.changed': project, 'movie.removed': () => null },
});

await serve(import.meta, MovieQuery);
