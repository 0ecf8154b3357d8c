import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  Length,
  Matches,
  Max,
  Min,
} from 'class-validator';
import { Column, Entity, Unique } from 'typeorm';
import { Allow } from '#auth';
import { Problem } from '#problem';
import { AnswersOutcomes, CommandController, commandService, Input, type Outcome, Row, serve, ShapeEach } from '#resource';
import { AnswersWithin } from '#service';
import type { MovieState, Rating } from './movie.events.js';
import { RATINGS } from './movie.rules.js';

@Entity('movie')
@Unique('movie_title_release', ['title', 'releaseOn'])
export class Movie extends Row implements MovieState {
  static override readonly shown: readonly (keyof MovieState)[] = [
    ...(['title', 'minutes', 'rating', 'releaseOn', 'genres', 'director', 'synopsis', 'retired'] as const),
  ];

  @Column('varchar')
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'title must not be blank' })
  title: string;

  /** Running time, minutes. */
  @Column('int', { nullable: true })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(600)
  minutes?: number;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsIn(RATINGS)
  rating?: Rating;

  @Column('date')
  @Matches(/^\d{4}-\d\d-\d\d$/, { message: 'releaseOn must be a day such as 1994-09-23' })
  @IsISO8601({ strict: true })
  releaseOn: string;

  @Column('varchar', { array: true, default: [] })
  @IsArray()
  @ArrayMaxSize(10)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(1, 40, { each: true })
  genres: string[] = [];

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Length(1, 200)
  director?: string;

  @Column('varchar', { nullable: true })
  @IsOptional()
  @IsString()
  @Length(1, 4000)
  synopsis?: string;

  @Column({ default: false })
  retired: boolean;
}

/** Many films at once. */
export class MovieBatch {
  @ShapeEach(Movie)
  @IsArray()
  @ArrayMaxSize(500)
  movies: unknown[];

  /** Only say what would be refused. */
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

@Controller('movies')
@Allow('chain-admin', 'manager')
export class MovieCommandController extends CommandController(Movie, 'movie') {
  /** Allow no new screenings. @throws Problem `movie-retired` (409) when it is already */
  @Post(':id/retire')
  @HttpCode(200)
  async retire(@Param('id') id: string) {
    const movie = await this.find(id);
    if (movie.retired) throw new Problem('movie-retired', 409, `${movie.title} is already retired`);
    return this.write('changed', Object.assign(movie, { retired: true }));
  }

  /** Create many; each is told what became of it, in the order they came. */
  @Post('import')
  @AnswersWithin(2800)
  @HttpCode(200)
  @AnswersOutcomes()
  async import(@Input(MovieBatch) { movies, dryRun }: MovieBatch): Promise<{ results: Outcome[] }> {
    return { results: await this.createMany(movies, { isTrial: dryRun }) };
  }
}

export const MovieCommand = commandService({ name: 'movie-command', row: Movie, controller: MovieCommandController });

await serve(import.meta, MovieCommand);
